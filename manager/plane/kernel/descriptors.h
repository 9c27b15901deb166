/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The descriptors of other processes, one by one, and what looking at them may cost: how many there
 * are is those processes' choice. */
#pragma once

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* No search goes further than this. */
#define DESCRIPTORS_MAX	     1000000
#define DESCRIPTORS_USEC_MAX UINT64_C(2000000) /* of the CPU */

/* What one search has used up. */
struct descriptor_cost {
	size_t n;
	uint64_t cpu_begun; /* cpu_usec() when it began */
};

struct descriptor {
	int fd;
	uint32_t inode; /* of the socket; 0 = it is something else */
};

/* One more: -E2BIG when there were more than DESCRIPTORS_MAX, or it takes longer than
 * DESCRIPTORS_USEC_MAX. */
int descriptors_count(struct descriptor_cost *cost);
/* NULL and errno: the process has ended, or may not be looked into. */
DIR *descriptors_open(pid_t pid);
/* 1 = there is one, 0 = that was the last; -E2BIG as above. */
int descriptors_next(DIR *dir, struct descriptor_cost *cost, struct descriptor *ret_descriptor);
