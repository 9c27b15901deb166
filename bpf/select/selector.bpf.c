// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The selector for TCP: attached to one SO_REUSEPORT group (one listener of a service), it hands
 * each new flow to a socket of the slot that the routing word wants.
 *
 * It runs in two situations (section ".../migrate", Linux 5.14):
 *   - a packet for a listener was looked up: migrating_sk is NULL, the packet is there;
 *   - a listener of the group closed with connections waiting: the kernel asks, one by one, who
 * takes them. The packet is empty then; the client's port comes from the connection itself.
 *
 * It fails open: without any live socket of a slot the kernel chooses as if no program were there,
 * and that is counted. It answers SK_DROP to an instance alone that looks for itself and has no
 * socket there (HS_PREVIEW_OWN).
 */
#include "hs_moved.h"
#include "hs_place.h"
#include "hs_trace.h"

#define TCP_CLOSE	 7
#define TCP_NEW_SYN_RECV 12

int hs_trace_tcp(struct sk_reuseport_md *md, __u64 word, __u32 choice);
int hs_migrated(struct sk_reuseport_md *md, __u64 word, __u32 hash, __u32 sport, __u32 to);
int hs_select(struct sk_reuseport_md *md);

/* Slot of a listening socket, by cookie: asked only when it closes with connections waiting.
 * Writer: adoption, which also removes those of a slot's earlier instances. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u32);
} hs_owners SEC(".maps");

/* Whether hs_moved is the accounting program's: if not, nobody would ever remove an entry. */
const volatile __u32 hs_accounted = 0;

static __always_inline int note_move(struct bpf_sock *moving, __u32 from, __u32 to)
{
	struct hs_move move = {.from = (__u16)from, .to = (__u16)to}, *again;
	__u64 cookie = bpf_get_socket_cookie(moving);
	struct hs_control *control = the_control();

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

/* Every connection that finds no socket is told: they are lost. */
static __always_inline int is_told(void)
{
	return 0;
}

/* By itself, so that the verifier looks at it once. */
__noinline int hs_migrated(struct sk_reuseport_md *md, __u64 word, __u32 hash, __u32 sport,
			   __u32 to)
{
	struct hs_flow flow = {.hash = hash, .sport = (__u16)sport};
	struct bpf_sock *moving = md ? md->migrating_sk : NULL;
	struct hs_counters *counters = counters_of(to);
	__u32 from, state;

	if (!md || !moving)
		return 0;
	from = owner_of(md->sk);
	state = moving->state;
	if (counters)
		hs_count(counters->migrated_in);
	/* a connection that the client has ended while it waited moves as well, and is no more.
	 * (TCP_SYN_RECV is one that Fast Open has let in: established as far as we count.) */
	if (state != TCP_NEW_SYN_RECV && state != TCP_CLOSE && from < HS_PLACES_MAX)
		account_move(moving, from, to);
	/* into the park and out of it they go by the thousand: hsd knows without a record each */
	if (from != HS_SLOT_PARK && to != HS_SLOT_PARK)
		event(word, &flow, HS_EVENT_MIGRATED, from, to);
	return 0;
}

__noinline int hs_trace_tcp(struct sk_reuseport_md *md, __u64 word, __u32 choice)
{
	struct hs_preview_key ends = {};
	__u32 from = HS_SLOT_NONE, marks = 0;

	if (!md || hs_ends(md, &ends))
		return 0;
	if (md->migrating_sk) {
		from = owner_of(md->sk);
		marks = HS_TRACE_MOVED;
	}
	return trace(&ends, from, marks, word, choice);
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

/* Hands the flow to a socket, if there is any. Returns to which slot and why, HS_CHOICE(). */
static __always_inline __u32 choose(struct sk_reuseport_md *md, struct bpf_sock *moving,
				    struct hs_control *control, struct hs_shards *shards,
				    __u64 word, struct hs_flow *flow)
{
	__u32 slot = hs_try_preview(md, flow, control), wanted, places;

	if (slot == HS_SLOT_REFUSED)
		return HS_CHOICE_BY(HS_SLOT_NONE, HS_WHY_REFUSED);
	if (slot < HS_SLOTS_MAX)
		return HS_CHOICE_BY(slot, HS_WHY_PREVIEW);
	/* on purpose, so no fall-through; where there is no park it is as if it had not been said
	 */
	if (hs_word_flags(word) & HS_FLAG_PARK_ALL && !hs_try_slot(md, HS_SLOT_PARK, flow->hash))
		return HS_CHOICE_BY(HS_SLOT_PARK, HS_WHY_PARK_ALL);
	places = hs_places(md, moving, control, word, flow, 0);
	wanted = places & 0xff;
	/* clang 19 else proves the bound by another register, which the verifier does not follow */
	barrier_var(wanted);
	if (wanted < HS_SLOTS_MAX &&
	    !try_shard(md, wanted, hs_pick_shard(shards->live[wanted], flow->hash)))
		return HS_CHOICE(wanted, places);
	return hs_fall(md, flow->hash, flow->sport, HS_CHOICE(HS_SLOT_NONE, places), word);
}

SEC("sk_reuseport/migrate")
int hs_select(struct sk_reuseport_md *md)
{
	struct bpf_sock *moving =
		md->migrating_sk; /* once: the verifier tracks this very register */
	__u32 zero = 0, slot, choice;
	struct hs_control *control = the_control();
	struct hs_shards *shards = bpf_map_lookup_elem(&hs_shards, &zero);
	struct hs_flow flow;
	__u64 word;

	if (!control || !shards)
		return SK_PASS;
	word = *(volatile __u64 *)&control->word;
	flow = flow_of(md, moving);
	choice = choose(md, moving, control, shards, word, &flow);
	slot = choice & 0xff;
	barrier_var(slot);
	if (slot < HS_PLACES_MAX) {
		if (moving)
			hs_migrated(md, word, flow.hash, flow.sport, slot);
		else
			count_chosen(slot);
	}
	if (is_traced(word))
		hs_trace_tcp(md, word, choice);
	return choice == HS_CHOICE_BY(HS_SLOT_NONE, HS_WHY_REFUSED) ? SK_DROP : SK_PASS;
}

char _license[] SEC("license") = "GPL";
