/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ownership by scope: the cleanup attribute, and how a value leaves its scope. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(f, a) __attribute__((format(printf, f, a)))
#define _unused_       __attribute__((unused))
#define ARRAY_SIZE(a)  (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)      ((a) < (b) ? (a) : (b))
#define MAX(a, b)      ((a) > (b) ? (a) : (b))
#define USEC_PER_SEC   UINT64_C(1000000)
#define USEC_PER_MSEC  UINT64_C(1000)
#define NSEC_PER_USEC  UINT64_C(1000)
#define NSEC_PER_SEC   UINT64_C(1000000000)
#define USEC_INFINITY  UINT64_MAX

/* Defines `NAMEp`, a cleanup function for variables of pointer type, from a free function that
 * takes NULL and returns anything. */
#define DEFINE_CLEANUP(type, free_function)                    \
	static inline _unused_ void free_function##p(type **p) \
	{                                                      \
		if (*p)                                        \
			free_function(*p);                     \
	}

static inline _unused_ void freep(void *p)
{
	free(*(void **)p);
}

/* Closes what is not negative and keeps errno. Returns -1, to assign. */
static inline _unused_ int close_fd(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

static inline _unused_ void close_fdp(int *fd)
{
	close_fd(*fd);
}

static inline _unused_ void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline _unused_ void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static inline _unused_ int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline _unused_ void *steal_pointer(void *p)
{
	void *taken = *(void **)p;

	*(void **)p = NULL;
	return taken;
}

#define steal_ptr(p) ((__typeof__(*(p)))steal_pointer(p))

/* What `member`, at this address, is a member of. */
#define container_of(address, type, member) ((type *)((uintptr_t)(address)-offsetof(type, member)))
