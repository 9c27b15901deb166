/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which clients the canary is for, where that goes by their addresses. Included once by each
 * program that decides for a service. */
#pragma once

#include "hs_bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, HS_PREFIXES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_prefix);
	__type(value, __u8);
} hs_prefixes SEC(".maps");

/* What a canary by address needs to know of a flow, beside its hash. */
static __always_inline void hs_classify_client(const struct hs_control *control,
					       const __u8 source[16], struct hs_flow *flow)
{
	struct hs_prefix prefix = {.length = 128};

	__builtin_memcpy(prefix.ip, source, sizeof(prefix.ip));
	if (control->canary_mode & HS_CANARY_FROM)
		flow->left_out = !bpf_map_lookup_elem(&hs_prefixes, &prefix);
	if (control->canary_mode & HS_CANARY_BY_CLIENT) {
		flow->by_client = 1;
		flow->client = hs_client_hash(control->hash_key, (const __u32 *)prefix.ip);
	}
}
