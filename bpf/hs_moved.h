/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Established connections that migrated, by cookie. Shared by all TCP selectors and the accounting
 * program, which removes the entry when the connection ends. Included where that map is used.
 */
#pragma once

#include "hs_bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct hs_move);
} hs_moved SEC(".maps");

/* The place that has a tagged socket now, by the socket's cookie (0 = it has none). Who uses it as
 * an index checks it first. */
static __always_inline __u32 hs_place_now(const struct hs_tag *tag, __u64 cookie)
{
	struct hs_move *move = cookie ? bpf_map_lookup_elem(&hs_moved, &cookie) : NULL;

	return move ? move->to : tag->slot;
}
