/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the BPF programs share: includes in the right order, and counting. UAPI types only. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "hs_abi.h"
#include "hs_decide.h"

/* Programs may be interrupted by others on the same CPU (a close in process context by a packet),
 * so even per-CPU counters are added to atomically. */
#define hs_count(field) __sync_fetch_and_add(&(field), 1)

#define AF_INET	 2
#define AF_INET6 10
