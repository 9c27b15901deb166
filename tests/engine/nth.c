// SPDX-License-Identifier: GPL-2.0-or-later
#include "nth.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../plane/rig.h"

#define FUNCTION_NAME_MAX 32

/* In memory that the engine's processes share. */
static struct shared {
	_Atomic bool counts;
	_Atomic unsigned n, target;
	_Atomic uintptr_t place; /* 0: it goes by the number */
	int error;
	_Atomic bool failed;
	char name[FUNCTION_NAME_MAX];
	_Atomic size_t n_places;
	_Atomic uintptr_t places[NTH_PLACES_MAX];
} * shared;

/* This process is in what is the engine's. */
static bool inside;

void nth_begin(void)
{
	if (shared)
		return;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	rig_check(shared != MAP_FAILED);
}

void nth_enter(void)
{
	inside = true;
}

void nth_leave(void)
{
	inside = false;
}

bool nth_pause(void)
{
	bool was_inside = inside;

	inside = false;
	return was_inside;
}

void nth_resume(bool was_inside)
{
	inside = was_inside;
}

static void arm(unsigned n, const void *place, int error)
{
	shared->n = 0;
	shared->n_places = 0;
	shared->target = n;
	shared->place = (uintptr_t)place;
	shared->error = error;
	shared->failed = false;
	shared->counts = true;
}

void nth_count(void)
{
	arm(0, NULL, 0);
}

void nth_arm(unsigned n, int error)
{
	arm(n, NULL, error);
}

void nth_arm_place(const void *place, int error)
{
	arm(0, place, error);
}

unsigned nth_disarm(void)
{
	shared->counts = false;
	return shared->n;
}

const char *nth_failed(void)
{
	return shared->failed ? shared->name : NULL;
}

size_t nth_places(const void *places[NTH_PLACES_MAX])
{
	size_t n = shared->n_places;

	for (size_t i = 0; i < n; i++)
		places[i] = (const void *)shared->places[i]; // NOLINT: an address of code
	return n;
}

static void note_place(uintptr_t place)
{
	size_t n = shared->n_places;

	for (size_t i = 0; i < n; i++)
		if (shared->places[i] == place)
			return;
	if (n < NTH_PLACES_MAX) {
		shared->places[n] = place;
		shared->n_places = n + 1;
	}
}

static void tell(const char *name, unsigned n)
{
	void *frames[24];
	int n_frames;

	if (!getenv("ENGINE_DEBUG"))
		return;
	n_frames = backtrace(frames, 24);
	fprintf(stderr, "# call %u, of %s, fails\n", n, name);
	backtrace_symbols_fd(frames, n_frames, STDERR_FILENO);
}

bool nth_fails(const char *name, const void *place)
{
	unsigned n;

	if (!inside || !shared->counts)
		return false;
	n = atomic_fetch_add(&shared->n, 1) + 1;
	if (!shared->target && !shared->place)
		note_place((uintptr_t)place);
	if (shared->place ? shared->place != (uintptr_t)place : n != shared->target)
		return false;
	if (atomic_exchange(&shared->failed, true))
		return false;
	snprintf(shared->name, sizeof(shared->name), "%s", name);
	tell(name, n);
	errno = shared->error;
	return true;
}

/* CALL(name, type, what it returns when it fails, its parameters, how they are handed on); those
 * after the third of a function with "..." are handed on alike in any case. */
#define CALL(name, type, failure, parameters, ...)                 \
	type __real_##name parameters;                             \
	type __wrap_##name parameters;                             \
	type __wrap_##name parameters                              \
	{                                                          \
		if (nth_fails(#name, __builtin_return_address(0))) \
			return failure;                            \
		return __real_##name(__VA_ARGS__);                 \
	}

/* ---- memory ---- */

CALL(malloc, void *, NULL, (size_t size), size)
CALL(calloc, void *, NULL, (size_t n, size_t size), n, size)
CALL(realloc, void *, NULL, (void *p, size_t size), p, size)
CALL(reallocarray, void *, NULL, (void *p, size_t n, size_t size), p, n, size)
CALL(strdup, char *, NULL, (const char *text), text)
CALL(strndup, char *, NULL, (const char *text, size_t n), text, n)
CALL(vasprintf, int, -1, (char **text, const char *format, va_list list), text, format, list)
CALL(__vasprintf_chk, int, -1, (char **text, int flag, const char *format, va_list list), text,
     flag, format, list)
CALL(mmap, void *, MAP_FAILED, (void *p, size_t size, int prot, int flags, int fd, off_t at), p,
     size, prot, flags, fd, at)

/* ---- files ---- */

CALL(open, int, -1, (const char *path, int flags, mode_t mode), path, flags, mode)
CALL(openat, int, -1, (int fd, const char *path, int flags, mode_t mode), fd, path, flags, mode)
CALL(fopen, FILE *, NULL, (const char *path, const char *mode), path, mode)
CALL(opendir, DIR *, NULL, (const char *path), path)
CALL(read, ssize_t, -1, (int fd, void *p, size_t size), fd, p, size)
CALL(pread, ssize_t, -1, (int fd, void *p, size_t size, off_t at), fd, p, size, at)
CALL(write, ssize_t, -1, (int fd, const void *p, size_t size), fd, p, size)
CALL(pwrite, ssize_t, -1, (int fd, const void *p, size_t size, off_t at), fd, p, size, at)
CALL(fstat, int, -1, (int fd, struct stat *stat), fd, stat)
CALL(stat, int, -1, (const char *path, struct stat *stat), path, stat)
CALL(mkdir, int, -1, (const char *path, mode_t mode), path, mode)
CALL(unlink, int, -1, (const char *path), path)
CALL(rename, int, -1, (const char *from, const char *to), from, to)
CALL(readlinkat, ssize_t, -1, (int fd, const char *path, char *p, size_t size), fd, path, p, size)
CALL(memfd_create, int, -1, (const char *name, unsigned flags), name, flags)
CALL(ftruncate, int, -1, (int fd, off_t size), fd, size)
CALL(fcntl, int, -1, (int fd, int command, long argument), fd, command, argument)
CALL(flock, int, -1, (int fd, int operation), fd, operation)

/* ---- sockets and processes ---- */

CALL(socket, int, -1, (int family, int type, int protocol), family, type, protocol)
CALL(socketpair, int, -1, (int family, int type, int protocol, int *ends), family, type, protocol,
     ends)
CALL(bind, int, -1, (int fd, const struct sockaddr *to, socklen_t size), fd, to, size)
CALL(listen, int, -1, (int fd, int backlog), fd, backlog)
CALL(connect, int, -1, (int fd, const struct sockaddr *to, socklen_t size), fd, to, size)
CALL(getsockopt, int, -1, (int fd, int level, int option, void *p, socklen_t *size), fd, level,
     option, p, size)
CALL(setsockopt, int, -1, (int fd, int level, int option, const void *p, socklen_t size), fd, level,
     option, p, size)
CALL(getsockname, int, -1, (int fd, struct sockaddr *to, socklen_t *size), fd, to, size)
CALL(shutdown, int, -1, (int fd, int how), fd, how)
CALL(send, ssize_t, -1, (int fd, const void *p, size_t size, int flags), fd, p, size, flags)
CALL(recv, ssize_t, -1, (int fd, void *p, size_t size, int flags), fd, p, size, flags)
CALL(sendmsg, ssize_t, -1, (int fd, const struct msghdr *message, int flags), fd, message, flags)
CALL(recvmsg, ssize_t, -1, (int fd, struct msghdr *message, int flags), fd, message, flags)
CALL(fork, pid_t, -1, (void))
CALL(setns, int, -1, (int fd, int kind), fd, kind)
CALL(syscall, long, -1, (long n, long a, long b, long c, long d, long e, long f), n, a, b, c, d, e,
     f)

/* ---- libbpf ---- */

CALL(bpf_obj_get, int, -errno, (const char *path), path)
CALL(bpf_obj_pin, int, -errno, (int fd, const char *path), fd, path)
CALL(bpf_obj_get_info_by_fd, int, -errno, (int fd, void *info, __u32 *size), fd, info, size)
CALL(bpf_map_create, int, -errno,
     (enum bpf_map_type type, const char *name, __u32 key, __u32 value, __u32 n,
      const struct bpf_map_create_opts *opts),
     type, name, key, value, n, opts)
CALL(bpf_map_lookup_elem, int, -errno, (int fd, const void *key, void *value), fd, key, value)
CALL(bpf_map_update_elem, int, -errno, (int fd, const void *key, const void *value, __u64 flags),
     fd, key, value, flags)
CALL(bpf_map_delete_elem, int, -errno, (int fd, const void *key), fd, key)
CALL(bpf_map_get_next_key, int, -errno, (int fd, const void *key, void *next), fd, key, next)
CALL(bpf_map__reuse_fd, int, -errno, (struct bpf_map * map, int fd), map, fd)
CALL(bpf_prog_attach, int, -errno, (int fd, int to, enum bpf_attach_type type, unsigned flags), fd,
     to, type, flags)
CALL(bpf_prog_detach2, int, -errno, (int fd, int from, enum bpf_attach_type type), fd, from, type)
CALL(bpf_prog_query, int, -errno,
     (int fd, enum bpf_attach_type type, __u32 flags, __u32 *attach_flags, __u32 *ids, __u32 *n),
     fd, type, flags, attach_flags, ids, n)
CALL(bpf_link_create, int, -errno,
     (int fd, int to, enum bpf_attach_type type, const struct bpf_link_create_opts *opts), fd, to,
     type, opts)
CALL(bpf_link_update, int, -errno, (int fd, int program, const struct bpf_link_update_opts *opts),
     fd, program, opts)
CALL(bpf_iter_create, int, -errno, (int fd), fd)
CALL(bpf_object__open_skeleton, int, -errno,
     (struct bpf_object_skeleton * skeleton, const struct bpf_object_open_opts *opts), skeleton,
     opts)
CALL(bpf_object__load, int, -errno, (struct bpf_object * object), object)
CALL(ring_buffer__new, struct ring_buffer *, NULL,
     (int fd, ring_buffer_sample_fn fn, void *userdata, const struct ring_buffer_opts *opts), fd,
     fn, userdata, opts)
