/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The maps that a front has beside those of any service. Included once by each program that works
 * for one. */
#pragma once

#include "hs_bpf.h"
#include "hs_front.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_front);
} hs_front SEC(".maps");

/* Their sizes are set when they are made. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct hs_front_flow_key);
	__type(value, struct hs_front_flow);
} hs_front_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 512);
	__type(key, struct hs_front_flow_key);
	__type(value, struct hs_front_flow);
} hs_front_young SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 128);
	__type(key, struct hs_front_flow_key);
	__type(value, struct hs_front_flow);
} hs_front_fresh SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HS_FRONT_TRAFFIC_MAX);
	__type(key, __u32);
	__type(value, struct hs_front_traffic);
} hs_front_load SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hs_front_pace);
} hs_front_pace SEC(".maps");

static __always_inline struct hs_front *the_front(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hs_front, &zero);
}

static __always_inline struct hs_front_traffic *traffic_of(__u32 host)
{
	return bpf_map_lookup_elem(&hs_front_load, &host);
}

static __always_inline struct hs_front_counts *front_counts(void)
{
	__u32 index = HS_FRONT_TRAFFIC_SERVICE;

	return bpf_map_lookup_elem(&hs_front_load, &index);
}
