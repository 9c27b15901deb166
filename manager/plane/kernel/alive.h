/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signs of life of the processes in a cgroup. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/watch/standstill.h"

/* How often threads in the cgroup have gone to sleep by themselves so far, all together: who is
 * woken and sleeps again counts one more. -errno. Kernel: voluntary_ctxt_switches of proc(5). */
int alive_sleeps(const char *cgroup, uint64_t *ret_sleeps);

/* CPU time that the cgroup has used, microseconds. -errno. */
int alive_cpu(const char *cgroup, uint64_t *ret_usec);

/* Whether a thread of the cgroup runs, waits for a CPU, or for a disk: who has taken a datagram and
 * has not dealt with it yet. Of the first processes and threads, the caller apart. Kernel: proc(5),
 * states R and D. */
bool alive_is_at_work(const char *cgroup);

/* Whether the process cannot run: a signal has stopped it, or a debugger. */
bool alive_is_halted(pid_t pid);
/* Whether one of the first processes of the cgroup is halted, and by what: a freezer that holds all
 * of them, or a debugger, rather than a signal. */
enum halt alive_any_halted(const char *cgroup);
