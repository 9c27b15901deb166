// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/borrow/lend.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/kcmp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "core/path.h"
#include "plane/kernel/cgroup.h"
#include "plane/kernel/descriptors.h"
#include "plane/kernel/golang.h"
#include "util/clock.h"
#include "util/macro.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* A table that processes share is looked through once; of so many different ones it is known. */
#define TABLES_MAX 1024

struct look {
	const uint32_t *inodes; /* ascending */
	bool *found;		/* likewise: it is among the places */
	size_t n;
	struct lent_place *places;
	size_t n_places;
	pid_t tables[TABLES_MAX]; /* processes with different tables, in the order of kcmp(2) */
	size_t n_tables;
	size_t n_processes;
	struct descriptor_cost cost;
};

static void look_done(struct look *look)
{
	free(look->found);
	free(look->places);
}

static int by_inode(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* One that is wanted is found once, whoever else has it. */
static void take(struct look *look, uint32_t inode, pid_t pid, int fd)
{
	const uint32_t *wanted = bsearch(&inode, look->inodes, look->n, sizeof(inode), by_inode);

	if (!wanted || look->found[wanted - look->inodes])
		return;
	look->found[wanted - look->inodes] = true;
	look->places[look->n_places++] = (struct lent_place) {inode, pid, fd};
}

/* Whether the table of descriptors is that of a process that was looked through. What the kernel
 * does not tell is looked through again. */
static bool is_seen_table(struct look *look, pid_t pid)
{
	size_t low = 0, high = look->n_tables;

	while (low < high) {
		size_t middle = (low + high) / 2;
		long order = syscall(SYS_kcmp, pid, look->tables[middle], KCMP_FILES, 0, 0);

		if (order == 0)
			return true;
		if (order < 0 || order > 2)
			return false;
		if (order == 1)
			high = middle;
		else
			low = middle + 1;
	}
	if (look->n_tables == TABLES_MAX)
		return false;
	memmove(&look->tables[low + 1], &look->tables[low],
		(look->n_tables++ - low) * sizeof(look->tables[0]));
	look->tables[low] = pid;
	return false;
}

/* From systemd 254 on a child runs this, as it was when PID 1 began, before the unit's program. */
static bool is_executor(const char *path)
{
	static const char executor[] = "/usr/lib/systemd/systemd-executor (deleted)";
	char target[sizeof(executor)];
	ssize_t size = readlink(path, target, sizeof(target) - 1);

	if (size < 0)
		return false;
	target[size] = '\0';
	return !strcmp(target, executor) || !strcmp(target, "/usr/lib/systemd/systemd-executor");
}

bool lend_is_manager(pid_t pid)
{
	struct stat manager, process;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (pid == 1)
		return false;
	if (!stat("/proc/1/exe", &manager) && !stat(path, &process) &&
	    process.st_dev == manager.st_dev && process.st_ino == manager.st_ino)
		return true;
	return is_executor(path);
}

static int look_process(pid_t pid, void *userdata)
{
	struct look *look = userdata;
	_cleanup_(closedirp) DIR *dir = NULL;
	struct descriptor found;
	int r = 0;

	if (++look->n_processes > LEND_PROCESSES_MAX)
		return -E2BIG;
	if (lend_is_manager(pid))
		return 0;
	if (is_seen_table(look, pid))
		return descriptors_count(&look->cost);
	dir = descriptors_open(pid);
	if (!dir)
		return errno == EACCES || errno == EPERM ? -errno : 0;
	while (look->n_places < look->n && (r = descriptors_next(dir, &look->cost, &found)) > 0)
		if (found.inode)
			take(look, found.inode, pid, found.fd);
	return r < 0 ? r : 0;
}

int lend_find(const char *cgroup, const uint32_t *inodes, size_t n, struct lent_place **ret_places,
	      size_t *ret_n)
{
	_cleanup_(look_done) struct look look = {
		.inodes = inodes, .n = n, .cost.cpu_begun = cpu_usec()};
	int r;

	look.found = calloc(n + 1, sizeof(*look.found));
	look.places = calloc(n + 1, sizeof(*look.places));
	if (!look.found || !look.places)
		return -ENOMEM;
	r = cgroup_each_process(cgroup, look_process, &look);
	if (r < 0)
		return r;
	*ret_n = look.n_places;
	*ret_places = steal_ptr(&look.places);
	return 0;
}

/* ---- one socket ---- */

/* The number may name something else by now. An MPTCP socket shares only its inode number with the
 * TCP socket in it, which is the one that sock_diag shows. */
static int check_still(int fd, const struct lent_socket *socket)
{
	socklen_t cookie_size = sizeof(uint64_t), protocol_size = sizeof(int);
	uint64_t cookie = 0;
	int protocol = 0;
	struct stat st;

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &cookie_size) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &protocol_size) < 0)
		return errno == ENOTSOCK ? -ESTALE : -errno;
	if (protocol != IPPROTO_MPTCP)
		return cookie == socket->cookie ? 0 : -ESTALE;
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_ino == socket->place.inode ? 0 : -ESTALE;
}

int lend_socket_by(int pidfd, const struct lent_socket *socket, int *ret_fd)
{
	_cleanup_(close_fdp) int fd = syscall(SYS_pidfd_getfd, pidfd, socket->place.fd, 0);
	int r;

	if (fd < 0)
		return errno == ESRCH || errno == EBADF ? -ESTALE : -errno;
	r = check_still(fd, socket);
	if (r < 0)
		return r;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int lend_socket(const struct lent_socket *socket, int *ret_fd)
{
	_cleanup_(close_fdp) int pidfd = syscall(SYS_pidfd_open, socket->place.pid, 0);

	if (pidfd < 0)
		return errno == ESRCH ? -ESTALE : -errno;
	return lend_socket_by(pidfd, socket, ret_fd);
}

int lend_give(int fd, uid_t uid)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	return fchown(fd, uid, (gid_t)-1) < 0 ? -errno : 0;
}

/* ---- paths ---- */

static int open_slot(const char *service, unsigned slot)
{
	char folder[PATH_FILE_MAX];
	int fd;

	snprintf(folder, sizeof(folder), PATH_ROOT "/%s/%u", service, slot);
	fd = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Step by step, and no step is a link (openat2(2) is not for processes with RestrictSUIDSGID=). */
int lend_path(const char *service, unsigned slot, const char *path, int *ret_fd)
{
	_cleanup_(close_fdp) int place = open_slot(service, slot), folder = -1, fd = -1;
	char key[PATH_KEY_MAX];
	struct stat st;

	if (place < 0)
		return place;
	path_key(path, key);
	folder = openat(place, key, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	fd = openat(folder, path_base(path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int lend_reach(const char *service, unsigned slot, const char *path, int *ret_fd)
{
	_cleanup_(close_fdp) int file = -1, fd = -1;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int r = lend_path(service, slot, path, &file);

	if (r < 0)
		return r;
	/* by a name of the file that we have, so that no other can take its place meanwhile */
	snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d", file);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* ---- namespaces ---- */

struct tour {
	struct netns *namespaces;
	size_t n, n_processes;
	int blind;
};

/* A process in a namespace that was not seen yet. One that has ended is passed over. */
static int visit(pid_t pid, void *userdata)
{
	struct tour *tour = userdata;
	struct netns netns;
	int r;

	if (++tour->n_processes > LEND_PROCESSES_MAX)
		return -E2BIG;
	r = netns_of_process(pid, &netns);
	if (r == -EACCES || r == -EPERM)
		tour->blind = r;
	if (r < 0 || netns.fd < 0)
		return 0;
	for (size_t i = 0; i < tour->n; i++)
		r |= tour->namespaces[i].inode == netns.inode;
	if (!r && tour->n < LEND_NAMESPACES_MAX)
		tour->namespaces[tour->n++] = netns;
	else
		close_fd(netns.fd);
	return 0;
}

int lend_namespaces(const char *cgroup, struct netns ret_namespaces[LEND_NAMESPACES_MAX],
		    size_t *ret_n, int *ret_blind)
{
	struct tour tour = {.namespaces = ret_namespaces};
	int r = cgroup_each_process(cgroup, visit, &tour);

	while (r < 0 && tour.n)
		close_fd(ret_namespaces[--tour.n].fd);
	*ret_n = tour.n;
	*ret_blind = tour.blind;
	return r < 0 ? r : 0;
}

static int open_here(void *userdata)
{
	const struct lent_kind *kind = userdata;
	int fd = socket(kind->domain, kind->type | SOCK_CLOEXEC, kind->protocol);

	return fd < 0 ? -errno : fd;
}

int lend_open(const struct netns *netns, const struct lent_kind *kind, int *ret_fd)
{
	struct lent_kind copy = *kind;
	int fd = netns_run(netns, open_here, &copy);

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

int lend_program(uint32_t id)
{
	union bpf_attr attr = {.prog_id = id};
	_cleanup_(close_fdp) int fd =
		(int)syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attr, sizeof(attr));

	if (fd < 0 && errno != ENOENT)
		return -errno;
	return fd >= 0;
}

int lend_go(pid_t pid)
{
	return lend_is_manager(pid) ? -EAGAIN : golang_made(pid);
}
