/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For programs that read fields of the kernel's own structures. Each names the few that it reads;
 * where they are is found at load time by the kernel's description of itself (BTF). */
#pragma once

#include <linux/types.h>

#define OF_KERNEL __attribute__((preserve_access_index))

typedef struct {
	int counter;
} OF_KERNEL atomic_t;

typedef struct {
	__s64 counter;
} OF_KERNEL atomic64_t;
