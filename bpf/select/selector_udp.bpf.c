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
 * It fails open, and answers SK_DROP to an instance alone that looks for itself: see
 * selector.bpf.c.
 */
#include "hs_flow.h"
#include "hs_place.h"
#include "hs_trace.h"

#define UDP_HEADER 8

int hs_trace_udp(struct sk_reuseport_md *md, __u64 word, __u32 choice);
int hs_select_udp(struct sk_reuseport_md *md);
int hs_fitness(__u64 word, __u64 print, __u64 epochs, __u32 tick, __u32 idle);
int hs_remember(__u64 mix, __u32 tick, __u32 slot);
int hs_reroute(struct sk_reuseport_md *md, __u32 hash, __u32 named, __u32 known);
int hs_quic_far(struct sk_reuseport_md *md, __u32 offset);
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

/* The tick (HS_FLOW_TICK_MASK) as it was read in this jiffy, and above it the jiffy. */
__u64 hs_clock = 0;

static __always_inline struct hs_flow_bucket *bucket_of(__u64 mix)
{
	__u32 index = (__u32)mix & hs_flow_mask;

	return bpf_map_lookup_elem(&hs_flows, &index);
}

/* To read the clock takes as long as all else that is done about a flow, so it is read once a
 * jiffy; to read the jiffies is one load. It is one word, so that no CPU sees halves of two. */
static __always_inline __u32 present_tick(void)
{
	__u64 jiffy = bpf_jiffies64() * (HS_FLOW_TICK_MASK + 1);
	__u64 clock = *(volatile __u64 *)&hs_clock;

	if ((clock & ~(__u64)HS_FLOW_TICK_MASK) != jiffy) {
		clock = jiffy | hs_flow_tick(bpf_ktime_get_coarse_ns());
		*(volatile __u64 *)&hs_clock = clock;
	}
	return clock & HS_FLOW_TICK_MASK;
}

static __always_inline struct hs_flow_now present(const struct hs_control *control, __u32 tick)
{
	return (struct hs_flow_now) {
		.epochs = *(const volatile __u64 *)&control->epochs,
		.tick = tick,
		.idle = control->flow_idle,
	};
}

/* The slot of a flow that is known, or HS_SLOT_NONE. A flow that is heard of all the time is
 * written once a tick, so that its cache line can stay where it is read. */
static __always_inline __u32 recall(const struct hs_control *control, __u64 mix, __u32 tick)
{
	struct hs_flow_bucket *bucket = bucket_of(mix);
	struct hs_flow_now now = present(control, tick);
	__u32 way;
	__u64 word;

	if (!bucket)
		return HS_SLOT_NONE;
	way = hs_flow_find(bucket, mix);
	barrier_var(way);
	if (way >= HS_FLOW_WAYS)
		return HS_SLOT_NONE;
	word = *(volatile __u64 *)&bucket->flows[way];
	if (!hs_flow_is_live(word, &now))
		return HS_SLOT_NONE;
	if (hs_flow_seen(word) != tick)
		*(volatile __u64 *)&bucket->flows[way] =
			hs_flow_word(mix, hs_flow_slot(word), &now);
	return hs_flow_slot(word);
}

/* Apart from the loop that calls it, so that the verifier looks at its ways once. */
__noinline int hs_fitness(__u64 word, __u64 print, __u64 epochs, __u32 tick, __u32 idle)
{
	struct hs_flow_now now = {.epochs = epochs, .tick = tick, .idle = idle};

	return (int)hs_flow_fitness(word, print, &now);
}

/* Two CPUs that write the same place at once: the later one stands, the other flow begins anew. */
__noinline int hs_remember(__u64 mix, __u32 tick, __u32 slot)
{
	struct hs_flow_bucket *bucket = bucket_of(mix);
	struct hs_service_counters *service = service_counters();
	struct hs_control *control = the_control();
	__u64 print = hs_flow_print(mix);
	__u32 rank = 0, way, fitness;
	struct hs_flow_now now;

	if (!bucket || !control || !service)
		return 0;
	now = present(control, tick);
	for (way = 0; way < HS_FLOW_WAYS; way++) {
		fitness = hs_fitness(*(volatile __u64 *)&bucket->flows[way], print, now.epochs,
				     tick, now.idle);
		rank = hs_flow_better(rank, hs_flow_rank(fitness, way));
	}
	way = hs_flow_way(rank);
	barrier_var(way);
	if (way >= HS_FLOW_WAYS)
		return 0;
	*(volatile __u64 *)&bucket->flows[way] = hs_flow_word(mix, slot, &now);
	if (hs_flow_evicts(rank))
		hs_count(service->flows_evicted);
	return 0;
}

/* One event in a tick and CPU says it all: what is lost here are datagrams, not connections. */
static __always_inline int is_told(void)
{
	struct hs_service_counters *service = service_counters();
	__u64 tick = bpf_ktime_get_coarse_ns() >> HS_FLOW_TICK_SHIFT;

	if (!service || service->told_tick == tick)
		return 1;
	service->told_tick = tick;
	return 0;
}

/* As the routing word wants it. Returns HS_CHOICE(), of HS_SLOT_NONE if the socket is gone. */
static __always_inline __u32 decide(struct sk_reuseport_md *md, const struct hs_control *control,
				    const struct hs_shards *shards, struct hs_flow *flow,
				    int recall)
{
	__u64 word = *(const volatile __u64 *)&control->word;
	__u32 places = hs_places(md, NULL, control, word, flow, recall), wanted = places & 0xff;

	barrier_var(wanted);
	if (wanted < HS_SLOTS_MAX &&
	    !try_shard(md, wanted, hs_pick_shard(shards->live[wanted], flow->hash)))
		return HS_CHOICE(wanted, places);
	return HS_CHOICE(HS_SLOT_NONE, places);
}

/* The same for a flow that is not known yet, or not any more: nor is its bucket, then. */
__noinline int hs_decide_udp(struct sk_reuseport_md *md, __u32 hash, __u32 sport)
{
	struct hs_flow flow = {.hash = hash, .sport = (__u16)sport};
	struct hs_control *control = the_control();
	__u32 zero = 0;
	struct hs_shards *shards = bpf_map_lookup_elem(&hs_shards, &zero);

	return md && control && shards ? (int)decide(md, control, shards, &flow, 0)
				       : (int)HS_CHOICE_BY(HS_SLOT_NONE, 0);
}

static __always_inline struct hs_flow udp_flow_of(struct sk_reuseport_md *md)
{
	struct hs_flow flow = {.hash = md->hash};
	__be16 *source = md->data;

	if ((void *)(source + 1) <= md->data_end)
		flow.sport = bpf_ntohs(*source);
	return flow;
}

static __always_inline __u32 named_slot(__u8 first, __u8 slot)
{
	return hs_quic_is_long(first) || slot >= HS_SLOTS_MAX ? HS_SLOT_NONE : slot;
}

/* Of a large datagram a program may be able to point at the headers only. */
__noinline int hs_quic_far(struct sk_reuseport_md *md, __u32 offset)
{
	__u8 first, slot;

	if (!md || bpf_skb_load_bytes(md, UDP_HEADER, &first, 1) ||
	    bpf_skb_load_bytes(md, offset, &slot, 1))
		return HS_SLOT_NONE;
	return named_slot(first, slot);
}

/* The slot that a datagram's connection id names; HS_SLOT_NONE when it names none. */
static __always_inline __u32 quic_slot(struct sk_reuseport_md *md, const struct hs_control *control)
{
	__u32 offset = UDP_HEADER + 1 + control->quic_slot_byte;
	volatile __u8 *data = md->data, *place;
	void *end = md->data_end;

	/* else clang 19 knows that the place is never before the first byte, and leaves out a test
	 * that the verifier, which does not know it, wants to see */
	barrier_var(offset);
	place = data + offset;
	if ((void *)(place + 1) > end || (void *)(data + UDP_HEADER + 1) > end)
		return hs_quic_far(md, offset);
	return named_slot(data[UDP_HEADER], *place);
}

static __always_inline __u64 live_of(const struct hs_shards *shards, __u32 slot)
{
	barrier_var(slot);
	return slot < HS_SLOTS_MAX ? shards->live[slot] : 0;
}

/* When the socket that a datagram should have got is gone: the others of the slot that its id
 * names, of the slot where its flow is known. Returns a choice, of none if they are gone, too. */
__noinline int hs_reroute(struct sk_reuseport_md *md, __u32 hash, __u32 named, __u32 known)
{
	__u32 zero = 0;
	struct hs_shards *shards = bpf_map_lookup_elem(&hs_shards, &zero);

	if (!md || !shards)
		return HS_CHOICE_BY(HS_SLOT_NONE, 0);
	if (live_of(shards, named) && !hs_try_slot(md, named, hash))
		return (int)HS_CHOICE_BY(named, HS_WHY_QUIC);
	if (live_of(shards, known) && !hs_try_slot(md, known, hash))
		return (int)HS_CHOICE_BY(known, HS_WHY_FLOW);
	return HS_CHOICE_BY(HS_SLOT_NONE, 0);
}

__noinline int hs_trace_udp(struct sk_reuseport_md *md, __u64 word, __u32 choice)
{
	struct hs_preview_key ends = {};

	if (!md || hs_ends(md, &ends))
		return 0;
	return trace(&ends, HS_SLOT_NONE, 0, word, choice);
}

/* A choice of none: those who come next are tried. */
static __always_inline __u32 fall(struct sk_reuseport_md *md, const struct hs_control *control,
				  const struct hs_flow *flow, __u32 choice)
{
	if ((choice & 0xff) < HS_SLOTS_MAX)
		return choice;
	return hs_fall(md, flow->hash, flow->sport, choice,
		       *(const volatile __u64 *)&control->word);
}

/* A socket is gone, or there was none: then as if the datagram were the first of its flow. */
static __always_inline __u32 reroute(struct sk_reuseport_md *md, const struct hs_control *control,
				     const struct hs_flow *flow, __u32 named, __u32 known)
{
	__u32 choice = HS_CHOICE_BY(HS_SLOT_NONE, 0);

	if (named < HS_SLOTS_MAX || known < HS_SLOTS_MAX)
		choice = hs_reroute(md, flow->hash, named, known);
	if ((choice & 0xff) < HS_SLOTS_MAX)
		return choice;
	return fall(md, control, flow, hs_decide_udp(md, flow->hash, flow->sport));
}

/* The word is asked for that here, as a flow that is known does without it otherwise. */
static __always_inline void on_chosen(struct sk_reuseport_md *md, const struct hs_control *control,
				      __u32 choice)
{
	__u64 word = *(const volatile __u64 *)&control->word;

	if ((choice & 0xff) < HS_SLOTS_MAX)
		count_chosen(choice & 0xff);
	if (is_traced(word))
		hs_trace_udp(md, word, choice);
}

SEC("sk_reuseport")
int hs_select_udp(struct sk_reuseport_md *md)
{
	__u32 zero = 0, slot, choice, known, named = HS_SLOT_NONE, tick;
	struct hs_shards *shards = bpf_map_lookup_elem(&hs_shards, &zero);
	struct hs_control *control = the_control();
	struct hs_flow flow;
	__u64 mix, live;

	if (!control || !shards)
		return SK_PASS;
	flow = udp_flow_of(md);
	/* not remembered: the next one with the same ends may be another's */
	slot = hs_try_preview(md, &flow, control);
	if (slot == HS_SLOT_REFUSED) {
		on_chosen(md, control, HS_CHOICE_BY(HS_SLOT_NONE, HS_WHY_REFUSED));
		return SK_DROP;
	}
	if (slot < HS_SLOTS_MAX) {
		on_chosen(md, control, HS_CHOICE_BY(slot, HS_WHY_PREVIEW));
		return SK_PASS;
	}
	if (control->flow_mode == HS_FLOW_NONE) {
		choice = decide(md, control, shards, &flow, 1);
		on_chosen(md, control, fall(md, control, &flow, choice));
		return SK_PASS;
	}
	tick = present_tick();
	mix = hs_flow_mix(control->hash_key, &flow);
	known = recall(control, mix, tick);
	if (control->flow_mode == HS_FLOW_QUIC)
		named = quic_slot(md, control);
	slot = named < HS_SLOTS_MAX ? named : known;
	barrier_var(slot);
	live = live_of(shards, slot);
	choice = HS_CHOICE_BY(slot, named < HS_SLOTS_MAX ? HS_WHY_QUIC : HS_WHY_FLOW);
	if (!live || try_shard(md, slot, hs_pick_shard(live, flow.hash)))
		choice = reroute(md, control, &flow, named, known);
	slot = choice & 0xff;
	if (slot < HS_SLOTS_MAX && slot != known)
		hs_remember(mix, tick, slot);
	on_chosen(md, control, choice);
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
