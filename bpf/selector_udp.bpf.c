// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The selector for UDP: attached to one SO_REUSEPORT group, it hands each datagram to a socket of a
 * slot. UDP knows no connections, so what belongs together is remembered in the service's flow
 * table, as hs_control.flow_mode says:
 *
 *   HS_FLOW_CONNECTION  a 4-tuple stays with the slot that its first datagram went to, until it is
 *                       idle or the slot is gone;
 *   HS_FLOW_NONE        nothing is remembered, each datagram follows the routing word;
 *   HS_FLOW_QUIC        as CONNECTION; but a datagram with a short header goes to the slot that the
 *                       server has written into its connection id, wherever it comes from.
 *
 * Flows that begin follow the routing word and fall through as connections do; there is no park for
 * them. Datagrams to multicast addresses go to all sockets, and no selector is asked.
 *
 * It fails open, and never answers SK_DROP: see selector.bpf.c.
 */
#include "hs_flow.h"
#include "hs_preview.h"

#define UDP_HEADER 8
#define NOT_KNOWN  -1

int hs_select_udp(struct sk_reuseport_md *md);
int hs_recall(__u64 mix, __u32 tick);
int hs_remember(__u64 mix, __u32 tick, __u32 slot);
int hs_decide_udp(struct sk_reuseport_md *md, __u32 hash, __u32 sport);

/* As many buckets as the service's settings want: the map is made by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HS_FLOW_BUCKETS_MIN);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_flow_bucket);
} hs_flows SEC(".maps");

/* Their number less one. */
const volatile __u32 hs_flow_mask = HS_FLOW_BUCKETS_MIN - 1;

static __always_inline struct hs_control *the_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hs_control, &zero);
}

static __always_inline struct hs_flow_bucket *bucket_of(__u64 mix)
{
	__u32 index = (__u32)mix & hs_flow_mask;

	return bpf_map_lookup_elem(&hs_flows, &index);
}

static __always_inline struct hs_flow_now present(const struct hs_control *control, __u32 tick)
{
	return (struct hs_flow_now) {
		.epochs = *(const volatile __u64 *)&control->epochs,
		.tick = tick,
		.idle = control->flow_idle,
	};
}

/* The slot of a flow that is known, or NOT_KNOWN. A flow that is heard of all the time is written
 * once a tick, so that its cache line can stay where it is read. */
__noinline int hs_recall(__u64 mix, __u32 tick)
{
	struct hs_flow_bucket *bucket = bucket_of(mix);
	struct hs_control *control = the_control();
	struct hs_flow_now now;
	__u32 way;
	__u64 word;

	if (!bucket || !control)
		return NOT_KNOWN;
	now = present(control, tick);
	way = hs_flow_find(bucket, mix, &now);
	barrier_var(way);
	if (way >= HS_FLOW_WAYS)
		return NOT_KNOWN;
	word = *(volatile __u64 *)&bucket->flows[way];
	if (hs_flow_seen(word) != tick)
		*(volatile __u64 *)&bucket->flows[way] =
			hs_flow_word(mix, hs_flow_slot(word), &now);
	return (int)hs_flow_slot(word);
}

/* Two CPUs that write the same place at once: the later one stands, the other flow begins anew. */
__noinline int hs_remember(__u64 mix, __u32 tick, __u32 slot)
{
	struct hs_flow_bucket *bucket = bucket_of(mix);
	struct hs_service_counters *service = service_counters();
	struct hs_control *control = the_control();
	struct hs_flow_place place;
	struct hs_flow_now now;

	if (!bucket || !control || !service)
		return 0;
	now = present(control, tick);
	place = hs_flow_place(bucket, mix, &now);
	barrier_var(place.way);
	if (place.way >= HS_FLOW_WAYS)
		return 0;
	*(volatile __u64 *)&bucket->flows[place.way] = hs_flow_word(mix, slot, &now);
	if (place.evicts)
		hs_count(service->flows_evicted);
	return 0;
}

/* One event in a tick and CPU says it all: what is lost here are datagrams, not connections. */
static __always_inline int told_lately(void)
{
	struct hs_service_counters *service = service_counters();
	__u64 tick = bpf_ktime_get_coarse_ns() >> HS_FLOW_TICK_SHIFT;

	if (!service || service->told_tick == tick)
		return 1;
	service->told_tick = tick;
	return 0;
}

/* As the routing word wants it. Returns the slot, or HS_SLOT_NONE: then the kernel chooses. */
__noinline int hs_decide_udp(struct sk_reuseport_md *md, __u32 hash, __u32 sport)
{
	struct hs_flow flow = {.hash = hash, .sport = (__u16)sport};
	struct hs_control *control = the_control();
	__u32 zero = 0, wanted, got;
	struct hs_shards *shards = bpf_map_lookup_elem(&hs_shards, &zero);
	__u64 word;

	if (!md || !control || !shards)
		return HS_SLOT_NONE;
	word = *(volatile __u64 *)&control->word;
	if (control->canary_mode && hs_word_share(word))
		hs_classify(md, NULL, control, &flow);
	wanted = hs_wanted_slot(word, control->hash_key, &flow, shards);
	barrier_var(wanted);
	if (wanted < HS_SLOTS_MAX &&
	    !try_shard(md, wanted, hs_pick_shard(shards->live[wanted], flow.hash)))
		return wanted;
	got = hs_fall_through(md, word, wanted, flow.hash);
	if (got != wanted) {
		count_fall(got);
		if (!told_lately())
			tell_fall(shards, &flow, word, wanted, got);
	}
	return got;
}

static __always_inline struct hs_flow udp_flow_of(struct sk_reuseport_md *md)
{
	struct hs_flow flow = {.hash = md->hash};
	__be16 *source = md->data;

	if ((void *)(source + 1) <= md->data_end)
		flow.sport = bpf_ntohs(*source);
	return flow;
}

/* The slot that a datagram's connection id names; HS_SLOT_NONE when it names none. Of a large
 * datagram only the headers may be where a program can point at, hence the helper. */
static __always_inline __u32 quic_slot(struct sk_reuseport_md *md, const struct hs_control *control)
{
	__u8 first, slot;

	if (bpf_skb_load_bytes(md, UDP_HEADER, &first, 1) || hs_quic_is_long(first) ||
	    bpf_skb_load_bytes(md, UDP_HEADER + 1 + control->quic_slot_byte, &slot, 1))
		return HS_SLOT_NONE;
	return slot < HS_SLOTS_MAX ? slot : HS_SLOT_NONE;
}

/* A slot that the word may not want any more: no hint, no try. */
static __always_inline int try_known(struct sk_reuseport_md *md, const struct hs_shards *shards,
				     __u32 slot, __u32 hash)
{
	__u64 live;

	barrier_var(slot);
	if (slot >= HS_SLOTS_MAX)
		return -1;
	live = shards->live[slot];
	if (!live)
		return -1;
	if (!try_shard(md, slot, hs_pick_shard(live, hash)))
		return 0;
	return hs_try_slot(md, slot, hash);
}

SEC("sk_reuseport")
int hs_select_udp(struct sk_reuseport_md *md)
{
	__u32 zero = 0, slot, known, named = HS_SLOT_NONE, tick;
	struct hs_shards *shards = bpf_map_lookup_elem(&hs_shards, &zero);
	struct hs_control *control = the_control();
	struct hs_flow flow;
	__u64 mix;

	if (!control || !shards)
		return SK_PASS;
	flow = udp_flow_of(md);
	/* not remembered: the next one with the same ends may be another's */
	slot = control->preview ? hs_try_preview(md, NULL, flow.hash) : HS_SLOT_NONE;
	if (slot < HS_SLOTS_MAX) {
		count_chosen(slot);
		return SK_PASS;
	}
	if (control->flow_mode == HS_FLOW_NONE) {
		slot = hs_decide_udp(md, flow.hash, flow.sport);
		if (slot < HS_SLOTS_MAX)
			count_chosen(slot);
		return SK_PASS;
	}
	tick = hs_flow_tick(bpf_ktime_get_coarse_ns());
	mix = hs_flow_mix(control->hash_key, &flow);
	known = hs_recall(mix, tick);
	if (control->flow_mode == HS_FLOW_QUIC)
		named = quic_slot(md, control);
	slot = named < HS_SLOTS_MAX ? named : known;
	if (try_known(md, shards, slot, flow.hash)) {
		slot = slot == known ? HS_SLOT_NONE : known;
		if (try_known(md, shards, slot, flow.hash))
			slot = hs_decide_udp(md, flow.hash, flow.sport);
	}
	if (slot >= HS_SLOTS_MAX)
		return SK_PASS;
	if (slot != known)
		hs_remember(mix, tick, slot);
	count_chosen(slot);
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
