/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the selectors for TCP and for UDP have in common: trying a slot's sockets, and what comes
 * when they are gone. Included once by each program.
 *
 * The slow paths are global functions: the verifier checks each by itself, for all arguments, and
 * not anew at every call.
 */
#pragma once

#include "hs_service.h"

int hs_pick(__u64 bits, __u32 hash);
int hs_next(__u64 word, __u32 ready);
int hs_try_slot(struct sk_reuseport_md *md, __u32 slot, __u32 hash);
int hs_try_aside(struct sk_reuseport_md *md, __u32 slot);
int hs_fall_through(struct sk_reuseport_md *md, __u64 word, __u32 places, __u32 hash);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_shards);
} hs_shards SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, HS_SOCKETS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} hs_sockets SEC(".maps");

static __always_inline int try_shard(struct sk_reuseport_md *md, __u32 slot, __u32 shard)
{
	__u32 index = slot * HS_SHARDS_MAX + shard;

	return shard < HS_SHARDS_MAX ? bpf_sk_select_reuseport(md, &hs_sockets, &index, 0) : -1;
}

/* Scalars in, a scalar out: the verifier looks at such a function once, and not in every round of
 * the loops that call it, which is most of what loading this program would take. */
__noinline int hs_pick(__u64 bits, __u32 hash)
{
	return hs_pick_shard(bits, hash);
}

__noinline int hs_next(__u64 word, __u32 ready)
{
	return hs_next_slot(word, ready);
}

/* Tries all sockets of one slot, beginning with the one that the flow's hash names. An entry may be
 * empty although its bit is set: its socket has closed. 0 when one was selected. */
__noinline int hs_try_slot(struct sk_reuseport_md *md, __u32 slot, __u32 hash)
{
	struct hs_counters *counters = counters_of(slot);
	struct hs_shards *shards;
	__u32 zero = 0;
	__u64 bits;

	shards = bpf_map_lookup_elem(&hs_shards, &zero);
	if (!md || !counters || !shards || slot >= HS_PLACES_MAX)
		return -1;
	bits = shards->live[slot];
	for (int i = 0; i < HS_SHARDS_MAX; i++) {
		__u32 shard = hs_pick(bits, hash);

		if (shard >= HS_SHARDS_MAX)
			return -1;
		if (!try_shard(md, slot, shard))
			return 0;
		hs_count(counters->select_failed);
		bits &= ~(1ULL << shard);
	}
	return -1;
}

/* Any socket of the slot, also without a hint. 0 when one was selected. */
__noinline int hs_try_aside(struct sk_reuseport_md *md, __u32 slot)
{
	if (!md || slot >= HS_SLOTS_MAX)
		return -1;
	for (__u32 shard = 0; shard < HS_SHARDS_MAX; shard++)
		if (!try_shard(md, slot, shard))
			return 0;
	return -1;
}

/* Whose turn it is behind slot number `tried`: the second place of a bucket, then as hs_next(). */
static __always_inline __u32 after(__u64 word, __u32 ready, __u32 second, int tried)
{
	if (!tried && second < HS_SLOTS_MAX && ready & (1U << second))
		return second;
	return hs_next(word, ready);
}

/* What is left when the wanted slot's chosen socket is gone: its other sockets, then those of the
 * second place (HS_PLACES()), then the active slot, then any other, then the park. Returns the
 * place, or HS_SLOT_NONE. */
__noinline int hs_fall_through(struct sk_reuseport_md *md, __u64 word, __u32 places, __u32 hash)
{
	__u32 zero = 0, ready, slot = places & 0xff, second = places >> 8 & 0xff;
	struct hs_shards *shards = bpf_map_lookup_elem(&hs_shards, &zero);

	if (!md || !shards)
		return HS_SLOT_NONE;
	ready = hs_ready_slots(shards);
	for (int i = 0; i <= HS_SLOTS_MAX; i++) {
		if (slot < HS_SLOTS_MAX) {
			if (!hs_try_slot(md, slot, hash))
				return slot;
			ready &= ~(1U << slot);
		}
		if (!ready)
			break;
		slot = after(word, ready, second, i);
	}
	return hs_try_slot(md, HS_SLOT_PARK, hash) ? HS_SLOT_NONE : HS_SLOT_PARK;
}

/* A look-up that did not get the slot it wanted. */
static __always_inline void count_fall(__u32 got)
{
	struct hs_service_counters *service;
	struct hs_counters *counters;

	if (got < HS_PLACES_MAX) {
		counters = counters_of(got);
		if (counters)
			hs_count(counters->fell_through);
		return;
	}
	service = service_counters();
	if (service)
		hs_count(service->nothing_to_choose);
}

static __always_inline void tell_fall(struct hs_shards *shards, const struct hs_flow *flow,
				      __u64 word, __u32 wanted, __u32 got)
{
	if (got >= HS_PLACES_MAX)
		event(word, flow, HS_EVENT_NOTHING, wanted, got);
	/* a slot that was withdrawn is no news: only sockets that died unannounced are told. Those
	 * who wait in the park are seen there */
	else if (wanted < HS_SLOTS_MAX && got < HS_SLOTS_MAX && shards->live[wanted])
		event(word, flow, HS_EVENT_FELL_THROUGH, wanted, got);
}
