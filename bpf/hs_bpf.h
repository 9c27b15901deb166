/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the BPF programs share: includes in the right order, and counting. UAPI types only. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "hs_abi.h"
#include "hs_decide.h"

/* Programs may be interrupted by others on the same CPU (a close in process context by a packet),
 * so even per-CPU counters are added to atomically. */
#define hs_count(field) __sync_fetch_and_add(&(field), 1)

#define AF_INET	 2
#define AF_INET6 10

/* Addresses as preview rules have them. */
static __always_inline void hs_map_ipv4(__u8 ip[16], __be32 address)
{
	__be32 *words = (__be32 *)ip;

	words[0] = words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = address;
}

static __always_inline int hs_is_loopback(const __u8 ip[16])
{
	const __be32 *words = (const __be32 *)ip;

	if (words[0] | words[1])
		return 0;
	return words[2] ? words[2] == bpf_htonl(0xffff) && ip[12] == 127 : words[3] == bpf_htonl(1);
}
