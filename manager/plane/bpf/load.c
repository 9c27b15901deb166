// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/load.h"

#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "core/refusal.h"
#include "util/macro.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif

/* The end of what libbpf said; libbpf gives its callback no userdata. Nobody here loads in threads.
 */
static struct {
	char text[REFUSAL_LOG_MAX + 1];
	size_t n;
} said;

static void keep_end(const char *text, size_t n)
{
	size_t kept;

	if (n > REFUSAL_LOG_MAX) {
		text += n - REFUSAL_LOG_MAX;
		n = REFUSAL_LOG_MAX;
	}
	kept = MIN(said.n, REFUSAL_LOG_MAX - n);
	memmove(said.text, said.text + said.n - kept, kept);
	memcpy(said.text + kept, text, n);
	said.n = kept + n;
	said.text[said.n] = '\0';
}

static int listen_to_libbpf(enum libbpf_print_level level, const char *template, va_list args)
{
	_cleanup_(freep) char *text = NULL;
	int n;

	if (level == LIBBPF_DEBUG)
		return 0;
	n = vasprintf(&text, template, args);
	if (n < 0) {
		text = NULL;
		return 0;
	}
	keep_end(text, n);
	return n;
}

static int ignore_libbpf(enum libbpf_print_level level, const char *template, va_list args)
{
	(void)level, (void)template, (void)args;
	return 0;
}

void load_quietly(void)
{
	libbpf_set_print(ignore_libbpf);
}

/* Or CAP_SYS_ADMIN, which stands for it. */
static bool has_perfmon(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	uint64_t effective;

	if (syscall(SYS_capget, &header, data) < 0)
		return true;
	effective = data[0].effective | (uint64_t)data[1].effective << 32;
	return effective & (1ULL << CAP_PERFMON | 1ULL << CAP_SYS_ADMIN);
}

static int error_of(int error, enum refusal refusal)
{
	if (refusal == REFUSAL_PRIVILEGE)
		return -EPERM;
	return refusal == REFUSAL_OTHER ? error : -ENOEXEC;
}

int load_object(struct bpf_object *object, const char *what, struct problem *problem)
{
	libbpf_print_fn_t before = libbpf_set_print(listen_to_libbpf);
	struct problem sentence;
	bool perfmon;
	int r;

	said.n = 0;
	said.text[0] = '\0';
	r = bpf_object__load(object);
	libbpf_set_print(before);
	if (r >= 0)
		return 0;
	perfmon = has_perfmon();
	refusal_describe(what, r, said.text, perfmon, &sentence);
	return problem_set(problem, error_of(r, refusal_of(r, said.text, perfmon)), "%s",
			   sentence.text);
}

uint64_t load_build(const void *elf, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	const uint8_t *bytes = elf;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return hash | 1;
}

void *load_memory(int map_fd, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}
