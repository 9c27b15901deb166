// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The selector: attached to one SO_REUSEPORT group (one listener of a service), it hands each new
 * flow to a socket of the slot that the routing word wants.
 *
 * It runs in two situations (section ".../migrate", Linux 5.14):
 *   - a packet for a listener was looked up: migrating_sk is NULL, the packet is there;
 *   - a listener of the group closed with connections waiting: the kernel asks, one by one, who
 * takes them. The packet is empty then; the client's port comes from the connection itself.
 *
 * It fails open: without any live socket of a slot the kernel chooses as if no program were there,
 * and that is counted. It never answers SK_DROP.
 */
#include "hs_preview.h"

#define TCP_CLOSE	 7
#define TCP_NEW_SYN_RECV 12

int hs_select(struct sk_reuseport_md *md);
int hs_pick(__u64 bits, __u32 hash);
int hs_next(__u64 word, __u32 ready);
int hs_try_slot(struct sk_reuseport_md *md, __u32 slot, __u32 hash);
int hs_fall_through(struct sk_reuseport_md *md, __u64 word, __u32 wanted, __u32 hash);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_control);
} hs_control SEC(".maps");

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

/* Slot of a listening socket, by cookie: asked only when it closes with connections waiting.
 * Writer: adoption, which also removes those of a slot's earlier instances. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u32);
} hs_owners SEC(".maps");

/* Established connections that migrated, by cookie. Shared with the accounting program, which
 * removes the entry when the connection ends. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct hs_move);
} hs_moved SEC(".maps");

/* Whether hs_moved is the accounting program's: if not, nobody would ever remove an entry. */
const volatile __u32 hs_accounted = 0;

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

/*
 * Tries all sockets of one slot, beginning with the one that the flow's hash names. An entry may be
 * empty although its bit is set: its socket has closed. 0 when one was selected.
 *
 * The slow paths are global functions: the verifier checks each by itself, for all arguments.
 */
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

/* What is left when the wanted slot's chosen socket is gone: its other sockets, then the active
 * slot, then any other, then the park. Returns the place, or HS_SLOT_NONE. */
__noinline int hs_fall_through(struct sk_reuseport_md *md, __u64 word, __u32 wanted, __u32 hash)
{
	__u32 zero = 0, ready, slot = wanted;
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
		slot = hs_next(word, ready);
	}
	return hs_try_slot(md, HS_SLOT_PARK, hash) ? HS_SLOT_NONE : HS_SLOT_PARK;
}

static __always_inline int note_move(struct bpf_sock *moving, __u32 from, __u32 to)
{
	struct hs_move move = {.from = (__u16)from, .to = (__u16)to}, *again;
	__u64 cookie = bpf_get_socket_cookie(moving);
	__u32 zero = 0;
	struct hs_control *control = bpf_map_lookup_elem(&hs_control, &zero);

	if (!control || !hs_accounted)
		return -1;
	again = bpf_map_lookup_elem(&hs_moved, &cookie);
	if (again) {
		again->to = move.to;
		return 0;
	}
	move.service_id = control->service_id;
	return bpf_map_update_elem(&hs_moved, &cookie, &move, BPF_ANY);
}

/*
 * A waiting connection goes to slot `to`. Handshakes are only counted: their connection will be
 * born on the new listener and carry its tag. An established one carries the tag of the listener
 * that it was born on, so its move is written down for the accounting program.
 */
static __always_inline void account_move(struct bpf_sock *moving, __u32 from, __u32 to)
{
	struct hs_counters *old = counters_of(from), *new = counters_of(to);
	struct hs_service_counters *service = service_counters();

	if (!old || !new || !service || from == to)
		return;
	if (note_move(moving, from, to)) {
		hs_count(service->moves_missed);
		return;
	}
	hs_count(old->moved_out);
	hs_count(new->moved_in);
}

static __always_inline __u32 owner_of(struct bpf_sock *listener)
{
	__u64 cookie = bpf_get_socket_cookie(listener);
	__u32 *slot = bpf_map_lookup_elem(&hs_owners, &cookie);

	return slot ? *slot : HS_SLOT_NONE;
}

static __always_inline void on_migrated(struct sk_reuseport_md *md, struct bpf_sock *moving,
					const struct hs_flow *flow, __u64 word, __u32 to)
{
	__u32 from = owner_of(md->sk), state = moving->state;
	struct hs_counters *counters = counters_of(to);

	if (counters)
		hs_count(counters->migrated_in);
	/* a connection that the client has ended while it waited moves as well, and is no more.
	 * (TCP_SYN_RECV is one that Fast Open has let in: established as far as we count.) */
	if (state != TCP_NEW_SYN_RECV && state != TCP_CLOSE && from < HS_PLACES_MAX)
		account_move(moving, from, to);
	event(word, flow, HS_EVENT_MIGRATED, from, to);
}

static __always_inline void on_selected(struct sk_reuseport_md *md, struct bpf_sock *moving,
					const struct hs_flow *flow, __u64 word, __u32 slot)
{
	struct hs_counters *counters;

	if (moving) {
		on_migrated(md, moving, flow, word, slot);
		return;
	}
	counters = counters_of(slot);
	if (counters)
		hs_count(counters->chosen);
}

static __always_inline struct hs_flow flow_of(struct sk_reuseport_md *md, struct bpf_sock *moving)
{
	struct hs_flow flow = {.hash = md->hash};
	__be16 *source = md->data;

	/* volatile: the verifier knows this field by its offset in one load */
	if (moving)
		flow.sport = bpf_ntohs(*(volatile __be16 *)&moving->dst_port);
	else if ((void *)(source + 1) <= md->data_end)
		flow.sport = bpf_ntohs(*source);
	return flow;
}

static __always_inline void on_fell_through(struct hs_shards *shards, const struct hs_flow *flow,
					    __u64 word, __u32 wanted, __u32 got)
{
	struct hs_counters *counters;
	struct hs_service_counters *service;

	if (got >= HS_PLACES_MAX) {
		service = service_counters();
		if (service)
			hs_count(service->nothing_to_choose);
		event(word, flow, HS_EVENT_NOTHING, wanted, got);
		return;
	}
	counters = counters_of(got);
	if (counters)
		hs_count(counters->fell_through);
	/* a slot that was withdrawn is no news: only sockets that died unannounced are told */
	if (wanted < HS_SLOTS_MAX && shards->live[wanted])
		event(word, flow, HS_EVENT_FELL_THROUGH, wanted, got);
}

/* Sends a connection with a preview rule to the rule's slot. 0 when it has been sent. */
static __always_inline int try_preview(struct sk_reuseport_md *md, struct bpf_sock *moving,
				       const struct hs_flow *flow, __u64 word)
{
	struct hs_preview_rule *rule = hs_preview_rule(md, moving);
	struct hs_service_counters *service = service_counters();
	__u32 slot;

	if (!rule || !service)
		return -1;
	slot = rule->slot;
	if (slot < HS_SLOTS_MAX && !hs_try_slot(md, slot, flow->hash)) {
		hs_count(rule->hits);
		hs_count(service->previewed);
		on_selected(md, moving, flow, word, slot);
		return 0;
	}
	hs_count(rule->misses);
	hs_count(service->preview_misses);
	return -1;
}

SEC("sk_reuseport/migrate")
int hs_select(struct sk_reuseport_md *md)
{
	struct bpf_sock *moving =
		md->migrating_sk; /* once: the verifier tracks this very register */
	__u32 zero = 0, wanted, got;
	struct hs_control *control = bpf_map_lookup_elem(&hs_control, &zero);
	struct hs_shards *shards = bpf_map_lookup_elem(&hs_shards, &zero);
	struct hs_flow flow;
	__u64 word;

	if (!control || !shards)
		return SK_PASS;
	word = *(volatile __u64 *)&control->word;
	flow = flow_of(md, moving);
	if (control->preview && !try_preview(md, moving, &flow, word))
		return SK_PASS;
	if (control->canary_mode && hs_word_share(word))
		hs_classify(md, moving, control, &flow);
	/* on purpose, so no fall-through; where there is no park it is as if it had not been said
	 */
	if (hs_word_flags(word) & HS_FLAG_PARK_ALL && !hs_try_slot(md, HS_SLOT_PARK, flow.hash)) {
		on_selected(md, moving, &flow, word, HS_SLOT_PARK);
		return SK_PASS;
	}
	wanted = hs_wanted_slot(word, control->hash_key, &flow, shards);
	/* clang 19 else proves the bound by another register, which the verifier does not follow */
	barrier_var(wanted);
	if (wanted < HS_SLOTS_MAX &&
	    !try_shard(md, wanted, hs_pick_shard(shards->live[wanted], flow.hash))) {
		on_selected(md, moving, &flow, word, wanted);
		return SK_PASS;
	}
	got = hs_fall_through(md, word, wanted, flow.hash);
	if (got != wanted)
		on_fell_through(shards, &flow, word, wanted, got);
	if (got < HS_PLACES_MAX)
		on_selected(md, moving, &flow, word, got);
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
