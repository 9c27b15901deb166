/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signs of life of the processes in a cgroup. */
#pragma once

#include <stdint.h>

/* How often threads in the cgroup have gone to sleep by themselves so far, all together: who is
 * woken and sleeps again counts one more. -errno. Kernel: voluntary_ctxt_switches of proc(5). */
int alive_sleeps(const char *cgroup, uint64_t *ret_sleeps);
