/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all programs that decide for a service have in common: its maps, counting and telling.
 * Included once by each program.
 */
#pragma once

#include "hs_bpf.h"

/* Two places in one number: the wanted one, and the one for as long as it has no socket. */
#define HS_PLACES(first, second) ((first) | (second) << 8)
/* What came of it: the place that was chosen, below those that were wanted. */
#define HS_CHOICE(place, places) (((place)&0xff) | (places) << 8)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_control);
} hs_control SEC(".maps");

static __always_inline struct hs_control *the_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hs_control, &zero);
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HS_COUNTERS_MAX);
	__type(key, __u32);
	__type(value, struct hs_counters);
} hs_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} hs_events SEC(".maps");

static __always_inline struct hs_counters *counters_of(__u32 slot)
{
	return bpf_map_lookup_elem(&hs_counters, &slot);
}

static __always_inline struct hs_service_counters *service_counters(void)
{
	__u32 index = HS_COUNTERS_SERVICE;

	return bpf_map_lookup_elem(&hs_counters, &index);
}

static __noinline int tell(__u64 word, __u64 flow, __u32 what)
{
	struct hs_event event = {
		.time_ns = bpf_ktime_get_ns(),
		.word = word,
		.flow_hash = (__u32)flow,
		.sport = (__u16)(flow >> 32),
		.kind = (__u8)what,
		.from = (__u8)(what >> 8),
		.to = (__u8)(what >> 16),
	};
	struct hs_service_counters *counters;

	if (!bpf_ringbuf_output(&hs_events, &event, sizeof(event), 0))
		return 0;
	counters = service_counters();
	if (counters)
		hs_count(counters->events_lost);
	return 0;
}

/* The rare path is a function of its own (scalar arguments, for kernels that verify it apart). */
static __always_inline void event(__u64 word, const struct hs_flow *flow, __u32 kind, __u32 from,
				  __u32 to)
{
	tell(word, flow->hash | ((__u64)flow->sport << 32),
	     kind | (from & 0xff) << 8 | (to & 0xff) << 16);
}

static __always_inline void count_chosen(__u32 slot)
{
	struct hs_counters *counters = counters_of(slot);

	if (counters)
		counters->chosen++;
}
