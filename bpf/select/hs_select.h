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

int hs_next(__u64 word, __u32 ready);
int hs_try_some(struct sk_reuseport_md *md, __u32 slot, __u64 bits, __u32 from);
int hs_try_slot(struct sk_reuseport_md *md, __u32 slot, __u32 hash);
int hs_try_aside(struct sk_reuseport_md *md, __u32 slot);
int hs_fall_through(struct sk_reuseport_md *md, __u64 word, __u32 places, __u32 hash);
int hs_fall(struct sk_reuseport_md *md, __u32 hash, __u32 sport, __u32 choice, __u64 word);

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
 * the loop that calls it. */
__noinline int hs_next(__u64 word, __u32 ready)
{
	return hs_next_slot(word, ready);
}

/* The verifier goes through every round of a loop, and that is most of what loading a selector
 * takes. So sockets are tried by eights: it goes through eight and eight rounds instead of 64. */
#define TRIED_AT_ONCE 8
#define TRY_SELECTED  0x100

/* Tries those of the slot's sockets `from` and the seven behind it (behind the last comes the
 * first) whose bit is set, until one is selected. Returns how many of them were gone, and
 * TRY_SELECTED if one has it now. */
__noinline int hs_try_some(struct sk_reuseport_md *md, __u32 slot, __u64 bits, __u32 from)
{
	__u32 gone = 0;

	if (!md || slot >= HS_PLACES_MAX)
		return 0;
	for (__u32 i = 0; i < TRIED_AT_ONCE; i++) {
		__u32 shard = (from + i) & (HS_SHARDS_MAX - 1);

		if (!(bits >> shard & 1))
			continue;
		if (!try_shard(md, slot, shard))
			return (int)(gone | TRY_SELECTED);
		gone++;
	}
	return (int)gone;
}

/* Tries all sockets of one slot, beginning with the one that the flow's hash names. An entry may be
 * empty although its bit is set: its socket has closed. 0 when one was selected. */
__noinline int hs_try_slot(struct sk_reuseport_md *md, __u32 slot, __u32 hash)
{
	struct hs_counters *counters = counters_of(slot);
	struct hs_shards *shards;
	__u32 zero = 0, from;
	__u64 bits;
	__u32 tried;

	shards = bpf_map_lookup_elem(&hs_shards, &zero);
	if (!md || !counters || !shards || slot >= HS_PLACES_MAX)
		return -1;
	bits = shards->live[slot];
	if (!bits)
		return -1;
	from = hs_pick_shard(bits, hash);
	for (__u32 i = 0; i < HS_SHARDS_MAX; i += TRIED_AT_ONCE) {
		tried = hs_try_some(md, slot, bits, from + i);
		__sync_fetch_and_add(&counters->select_failed, tried & (TRY_SELECTED - 1));
		if (tried & TRY_SELECTED)
			return 0;
	}
	return -1;
}

/* Any socket of the slot, also without a hint. 0 when one was selected. */
__noinline int hs_try_aside(struct sk_reuseport_md *md, __u32 slot)
{
	if (!md || slot >= HS_SLOTS_MAX)
		return -1;
	for (__u32 i = 0; i < HS_SHARDS_MAX; i += TRIED_AT_ONCE)
		if (hs_try_some(md, slot, ~0ULL, i) & TRY_SELECTED)
			return 0;
	return -1;
}

/* A slot that is `ready` is tried once. 0 when a socket of it was selected. */
static __always_inline int try_ready(struct sk_reuseport_md *md, __u32 slot, __u32 hash,
				     __u32 *ready)
{
	barrier_var(slot);
	if (slot >= HS_SLOTS_MAX || !(*ready & (1U << slot)))
		return -1;
	*ready &= ~(1U << slot);
	return hs_try_slot(md, slot, hash);
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
	if (!try_ready(md, slot, hash, &ready))
		return slot;
	if (!try_ready(md, second, hash, &ready))
		return second;
	for (int i = 0; i < HS_SLOTS_MAX && ready; i++) {
		slot = (__u32)hs_next(word, ready) % HS_SLOTS_MAX;
		ready &= ~(1U << slot);
		if (!hs_try_slot(md, slot, hash))
			return slot;
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

/* Whether such a fall has been told, and another need not be: each selector has its own answer. */
static __always_inline int is_told(void);

/* The socket that was wanted is gone: what comes of a choice of none. It is the caller of all who
 * asks for this, not who finds it out: each frame of the stack that lies between takes 32 bytes of
 * its 512 at least, and many kernels round them up to multiples of that. */
__noinline int hs_fall(struct sk_reuseport_md *md, __u32 hash, __u32 sport, __u32 choice,
		       __u64 word)
{
	struct hs_flow flow = {.hash = hash, .sport = (__u16)sport};
	__u32 zero = 0, places = choice >> 8, wanted = places & 0xff, got;
	struct hs_shards *shards = bpf_map_lookup_elem(&hs_shards, &zero);

	if (!md || !shards)
		return (int)choice;
	barrier_var(wanted);
	got = hs_fall_through(md, word, places, hash);
	if (got != wanted) {
		count_fall(got);
		if (!is_told())
			tell_fall(shards, &flow, word, wanted, got);
	}
	return (int)HS_CHOICE(got, places & 0xffff);
}
