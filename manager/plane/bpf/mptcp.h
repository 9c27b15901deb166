/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MPTCP=no: the program that refuses sockets of MPTCP (bpf/cgroup/mptcp.bpf.c), one for all
 * services. Attached to the cgroup of an instance by the hook `prepare`, before the server runs,
 * without a link: it stays as long as the cgroup, whatever becomes of us.
 */
#pragma once

#include <stdint.h>

#include "util/problem.h"

/* Attaches it to a cgroup, as systemd names it; what is not pinned yet is loaded and pinned beside
 * the accounting, whose pins are there. 0 also where it was attached. */
int mptcp_refuse(const char *cgroup, struct problem *problem);
/* Takes it off again. 0 also where it was not, or the cgroup is gone. */
int mptcp_allow(const char *cgroup);

/* Loads the program as it would, and lets go of it: whether this kernel can. */
int mptcp_try(struct problem *problem);

/* How many sockets of MPTCP were refused to processes of the very cgroup, not of those below it:
 * also when it is no more, as far as that is remembered. */
uint32_t mptcp_asked(uint64_t cgroup_id);
