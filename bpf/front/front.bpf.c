// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The program of a front: it gets the frames that are for its service from the device's program,
 * and sends each on to a host.
 *
 *   - A flow that begins goes where a preview rule, the routing word and the table want it, or to
 *     another host if that takes none; and is remembered, within a budget.
 *   - A flow that is known stays with its host for as long as that is in the settings.
 *   - What is neither goes by word and table as well, and is not remembered: its host may not
 *     know it. In ipip that is told who else may.
 *
 * A TCP flow is remembered with its SYN in a small map (fresh). It comes into another one (young)
 * when the client has answered the host, where those of UDP begin, and into the large one when it
 * is seen for some time, and in nat the host has answered, too. So SYNs that nobody stands behind
 * push out nothing else. Who sends more than those, from addresses that are not his, pushes out
 * what is young, and of what lasts no more than a small part in a second, which was silent for the
 * longest time.
 *
 * It fails open: what cannot be sent goes to the kernel, and is counted. The one thing that is
 * dropped are packets of a known flow to whose host there is no way: the kernel here would answer
 * them by a reset, where without an answer they are sent again.
 */
#include "hs_canary.h"
#include "hs_front_maps.h"
#include "hs_front_xdp.h"
#include "hs_recent.h"
#include "hs_trace.h"

struct passage;

/* Where a flow is remembered. */
enum place { NOWHERE, IN_FLOWS, IN_YOUNG };

/* Of the budgets of flows that begin and of those that come to last: until when it is paid. Written
 * by all CPUs, and not exact. */
__u64 hs_begun_paid = 0, hs_lasting_paid = 0;
/* What one of the latter costs, in ns; 0: nothing. */
const volatile __u64 hs_lasting_cost = 0;

/* Global functions are looked at by the verifier each by itself, and not anew wherever they are
 * called from. */
int hs_choose(struct passage *passage);
int hs_remember(struct passage *passage, __u32 host, __u32 place);
int hs_begin(struct passage *passage, __u32 place);
int hs_unknown(struct passage *passage);
int hs_ask_rules(struct passage *passage);
int hs_wrap(struct xdp_md *ctx, struct passage *passage, __u32 number);
int hs_tell_trace(struct passage *passage);
int hs_answerer(struct passage *passage);
int hs_asked(struct passage *passage, __u32 host);
int hs_address(struct passage *passage);
int hs_front_fwd(struct xdp_md *ctx);

/* What is known of a packet on its way. */
struct passage {
	struct hs_packet packet;
	struct hs_front_flow_key key __attribute__((aligned(8))); /* read as numbers */
	__u64 word, client_mac;
	__u32 hash; /* of the flow; 0: nobody has asked for it */
	__u32 tick;
	__u32 choice;	/* HS_CHOICE(), as for traces */
	__u8 is_known;	/* of a flow that is remembered */
	__u8 has_ports; /* 0: a fragment whose first was not seen */
	__u8 begins;	/* a flow */
	__u8 pad;
};

#define count_here(field)                                            \
	do {                                                         \
		struct hs_front_counts *its_counts = front_counts(); \
                                                                     \
		if (its_counts)                                      \
			its_counts->field++;                         \
	} while (0)

/* A flow that is known does without. */
static __always_inline __u32 hash_of(struct passage *passage)
{
	struct hs_control *control = the_control();

	if (!passage->hash && control)
		passage->hash = hs_ends_hash(control->hash_key, &passage->key);
	return passage->hash;
}

/* ---- which host a flow that begins gets ---- */

/* By the table. */
static __noinline __u32 places_by_table(struct passage *passage)
{
	struct hs_table *table = the_table();
	struct hs_client client;

	if (!table)
		return HS_PLACES(HS_SLOT_NONE, HS_SLOT_NONE);
	/* a fragment without ports */
	if (!passage->has_ports && copy_of(table, passage->word)->spread.by != HS_BY_CLIENT)
		return HS_PLACES(HS_SLOT_NONE, HS_SLOT_NONE);
	/* not before the look-ups: it would be kept on the stack meanwhile, and that is short */
	client = hs_client_of(passage->key.client);
	return (__u32)hs_places_again(client.high, client.low, bpf_ntohs(passage->key.client_port));
}

static __noinline __u32 host_by_word(struct passage *passage)
{
	struct hs_flow flow = {.hash = hash_of(passage),
			       .sport = bpf_ntohs(passage->key.client_port)};
	struct hs_control *control = the_control();
	struct hs_front *front = the_front();
	__u64 word = passage->word;
	__u32 slot;

	if (!control || !front)
		return HS_SLOT_NONE;
	if (hs_word_policy(word) == HS_POLICY_HASH)
		return hs_hash_slot(control->hash_key, flow.hash, front->taking & 0xffff);
	if (hs_word_policy(word) == HS_POLICY_PARITY)
		return flow.sport & 1;
	if (control->canary_mode && hs_word_share(word))
		hs_classify_client(control, passage->key.client, &flow);
	slot = hs_in_canary(word, control->hash_key, &flow) ? hs_word_canary(word)
							    : hs_word_active(word);
	return slot < HS_SLOTS_MAX ? slot : HS_SLOT_NONE;
}

static __always_inline __u32 wanted_places(struct passage *passage)
{
	__u32 places = HS_PLACES(HS_SLOT_NONE, HS_SLOT_NONE);

	if (hs_word_policy(passage->word) == HS_POLICY_HASH)
		places = places_by_table(passage);
	if ((places & 0xff) < HS_SLOTS_MAX || !passage->has_ports)
		return places;
	return HS_PLACES(host_by_word(passage), HS_SLOT_NONE);
}

/* Told by each CPU once in a tick: there may be a packet each. */
static __noinline int fell(struct passage *passage, __u32 wanted, __u32 got)
{
	struct hs_front_counts *counts = front_counts();
	struct hs_counters *counters = counters_of(got);
	struct hs_flow flow = {.hash = hash_of(passage),
			       .sport = bpf_ntohs(passage->key.client_port)};

	if (!counts)
		return 0;
	if (got >= HS_SLOTS_MAX)
		counts->no_host++;
	else if (counters)
		hs_count(counters->fell_through);
	if (counts->told_tick == passage->tick)
		return 0;
	counts->told_tick = passage->tick;
	event(passage->word, &flow, got >= HS_SLOTS_MAX ? HS_EVENT_NOTHING : HS_EVENT_FELL_THROUGH,
	      wanted, got);
	return 0;
}

/* `passage->choice` names it; HS_SLOT_NONE: nobody takes any. */
__noinline int hs_choose(struct passage *passage)
{
	struct hs_front *front = the_front();
	__u32 places, host;

	if (!front || !passage)
		return HS_SLOT_NONE;
	places = wanted_places(passage);
	/* fragments that cannot be told apart */
	if (!passage->has_ports && (places & 0xff) >= HS_SLOTS_MAX)
		return HS_SLOT_NONE;
	host = hs_taking_host(*(volatile __u32 *)&front->taking, places & 0xff, places >> 8 & 0xff);
	if (host != (places & 0xff) || host >= HS_SLOTS_MAX)
		fell(passage, places & 0xff, host);
	passage->choice = HS_CHOICE(host, places);
	return host;
}

/* ---- flows ---- */

/* Whether there is room for one more in a budget. */
static __always_inline int pay(__u64 *paid, __u64 cost, __u64 span, __u64 now)
{
	__u64 until = *(volatile __u64 *)paid;

	if (until > now)
		return 0;
	if (until + span < now)
		*(volatile __u64 *)paid = now - span;
	__sync_fetch_and_add(paid, cost);
	return 1;
}

static __always_inline void count_begun(__u32 host)
{
	struct hs_front_traffic *traffic = traffic_of(host);

	count_chosen(host);
	if (!traffic)
		return;
	traffic->flows++;
	traffic->recent =
		hs_recent_add(traffic->recent, hs_recent_period(bpf_ktime_get_coarse_ns()));
}

static __always_inline void count_opened(__u32 host)
{
	struct hs_counters *counters = counters_of(host);

	if (!counters)
		return;
	hs_count(counters->opened);
	counters->recent =
		hs_recent_add(counters->recent, hs_recent_period(bpf_ktime_get_coarse_ns()));
}

/* `place`: of one that is remembered already, and costs nobody's. */
__noinline int hs_remember(struct passage *passage, __u32 host, __u32 place)
{
	struct hs_front *front = the_front();
	struct hs_front_flow flow = {.host = (__u8)host};
	struct hs_front_flow_key key;
	int udp;

	if (!front || !passage || host >= HS_SLOTS_MAX)
		return 0;
	/* older kernels take no key out of what a function was handed (until Linux 6.4) */
	key = passage->key;
	udp = passage->key.protocol == HS_PROTO_UDP;
	flow.begun_ns = bpf_ktime_get_coarse_ns();
	flow.seen = passage->tick;
	flow.client_mac = passage->client_mac;
	flow.epoch = front->hosts[host].epoch;
	if (udp)
		flow.marks = HS_FRONT_ESTABLISHED;
	if (place == NOWHERE && front->cost_ns &&
	    !pay(&hs_begun_paid, front->cost_ns, front->span_ns, flow.begun_ns)) {
		count_here(unremembered);
		return 0;
	}
	if (place == IN_FLOWS)
		return bpf_map_update_elem(&hs_front_flows, &key, &flow, BPF_ANY);
	if (place == IN_YOUNG || udp)
		return bpf_map_update_elem(&hs_front_young, &key, &flow, BPF_ANY);
	return bpf_map_update_elem(&hs_front_fresh, &key, &flow, BPF_ANY);
}

/* A flow begins. */
__noinline int hs_begin(struct passage *passage, __u32 place)
{
	struct hs_control *control = the_control();
	__u32 host;

	if (!passage)
		return HS_SLOT_NONE;
	host = passage->choice & 0xff;
	/* else a rule has said it */
	if (host >= HS_SLOTS_MAX)
		host = hs_choose(passage);
	if (host >= HS_SLOTS_MAX || !control)
		return host;
	passage->begins = 1;
	count_begun(host);
	if (passage->key.protocol == HS_PROTO_UDP) {
		if (control->flow_mode == HS_FLOW_NONE)
			return host;
		count_opened(host);
	}
	hs_remember(passage, host, place);
	return host;
}

/* Whether it is with its host still, and no rule wants it elsewhere. */
static __always_inline int stays(const struct hs_front *front, const struct passage *passage,
				 const struct hs_front_flow *flow)
{
	__u32 ruled = passage->choice & 0xff;

	return hs_flow_has_host(front, flow) && (ruled >= HS_SLOTS_MAX || ruled == flow->host);
}

/* Another packet of a flow. */
static __always_inline __u32 follow(struct passage *passage, struct hs_front_flow *flow)
{
	__u8 flags = passage->packet.marks & HS_PACKET_ERROR ? 0 : passage->packet.flags;

	if (flow->seen != passage->tick)
		flow->seen = passage->tick;
	if (flags & (HS_TCP_FIN | HS_TCP_RST) && !(flow->marks & HS_FRONT_CLOSING))
		flow->marks |= HS_FRONT_CLOSING;
	if (passage->client_mac && flow->client_mac != passage->client_mac &&
	    !(passage->packet.marks & HS_PACKET_ERROR))
		flow->client_mac = passage->client_mac;
	passage->is_known = 1;
	passage->choice = flow->host | (__u32)HS_WHY_FLOW << 24 | 0xffff00;
	return flow->host;
}

/* The client has answered the host: the flow is one. */
static __noinline int establish(struct passage *passage, struct hs_front_flow *fresh)
{
	struct hs_front_flow flow = *fresh;

	flow.marks |= HS_FRONT_ESTABLISHED;
	if (!bpf_map_update_elem(&hs_front_young, &passage->key, &flow, BPF_ANY))
		bpf_map_delete_elem(&hs_front_fresh, &passage->key);
	count_opened(flow.host);
	return 0;
}

/* It is young, and lasts. */
static __noinline int come_to_last(struct passage *passage, struct hs_front_flow *young)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct hs_front_flow flow = *young;

	if (hs_lasting_cost &&
	    !pay(&hs_lasting_paid, hs_lasting_cost, 1ULL << HS_FLOW_TICK_SHIFT, now))
		return 0;
	if (!bpf_map_update_elem(&hs_front_flows, &passage->key, &flow, BPF_ANY))
		bpf_map_delete_elem(&hs_front_young, &passage->key);
	return 0;
}

/* Another packet of a flow of one of the two maps. */
static __always_inline __u32 follow_in(const struct hs_front *front, struct passage *passage,
				       struct hs_front_flow *flow, __u32 place)
{
	__u32 host = follow(passage, flow);

	if (place == IN_YOUNG && !(passage->packet.marks & HS_PACKET_ERROR) &&
	    hs_flow_lasts(front, flow, passage->tick))
		come_to_last(passage, flow);
	return host;
}

static __always_inline struct hs_front_flow *find_flow(const struct passage *passage, __u32 *place)
{
	struct hs_front_flow *flow = bpf_map_lookup_elem(&hs_front_flows, &passage->key);

	*place = IN_FLOWS;
	if (flow)
		return flow;
	flow = bpf_map_lookup_elem(&hs_front_young, &passage->key);
	*place = flow ? IN_YOUNG : NOWHERE;
	return flow;
}

/* No flow is known. */
__noinline int hs_unknown(struct passage *passage)
{
	__u32 host;

	if (!passage)
		return HS_SLOT_NONE;
	host = passage->choice & 0xff;
	if (host >= HS_SLOTS_MAX)
		host = hs_choose(passage);
	if (host < HS_SLOTS_MAX && passage->has_ports)
		count_here(unknown);
	return host;
}

static __always_inline __u32 host_of_syn(struct passage *passage)
{
	struct hs_front *front = the_front();
	struct hs_front_flow *flow, *fresh;
	__u32 place;

	if (!front)
		return HS_SLOT_NONE;
	flow = find_flow(passage, &place);
	if (flow) {
		if (stays(front, passage, flow) && hs_is_same_flow(front, flow, passage->tick))
			return follow(passage, flow);
		return hs_begin(passage, place);
	}
	fresh = bpf_map_lookup_elem(&hs_front_fresh, &passage->key);
	if (fresh && stays(front, passage, fresh) && hs_is_same_flow(front, fresh, passage->tick))
		return follow(passage, fresh);
	return hs_begin(passage, NOWHERE);
}

/* Of TCP, and no SYN; or an error about it. */
static __always_inline __u32 host_of_stream(struct passage *passage)
{
	int is_error = passage->packet.marks & HS_PACKET_ERROR;
	struct hs_front *front = the_front();
	struct hs_front_flow *flow;
	__u32 host, place;

	if (!front)
		return HS_SLOT_NONE;
	flow = find_flow(passage, &place);
	if (flow && stays(front, passage, flow)) {
		if (!(flow->marks & HS_FRONT_ESTABLISHED) && !is_error) {
			flow->marks |= HS_FRONT_ESTABLISHED;
			count_opened(flow->host);
		}
		return follow_in(front, passage, flow, place);
	}
	flow = bpf_map_lookup_elem(&hs_front_fresh, &passage->key);
	if (!flow || !stays(front, passage, flow))
		return hs_unknown(passage);
	host = follow(passage, flow);
	if (!is_error)
		establish(passage, flow);
	return host;
}

static __always_inline __u32 host_of_datagram(const struct hs_control *control,
					      struct passage *passage)
{
	int is_error = passage->packet.marks & HS_PACKET_ERROR;
	struct hs_front *front = the_front();
	struct hs_front_flow *flow;
	__u32 place;

	if (!front)
		return HS_SLOT_NONE;
	if (control->flow_mode == HS_FLOW_NONE)
		return is_error ? hs_unknown(passage) : hs_begin(passage, NOWHERE);
	flow = find_flow(passage, &place);
	if (flow && stays(front, passage, flow) &&
	    hs_front_age(flow, passage->tick) < control->flow_idle)
		return follow_in(front, passage, flow, place);
	return is_error ? hs_unknown(passage) : hs_begin(passage, place);
}

static __always_inline void ends_of(const struct passage *passage, struct hs_preview_key *ends)
{
	hs_copy_ip(ends->source, passage->key.client);
	hs_copy_ip(ends->dest, passage->packet.dest);
	ends->source_port = passage->key.client_port;
	ends->dest_port = passage->key.port;
	ends->protocol = passage->key.protocol;
}

/* Where a rule sends this connection: into `passage->choice`. */
__noinline int hs_ask_rules(struct passage *passage)
{
	struct hs_service_counters *service = service_counters();
	struct hs_front *front = the_front();
	struct hs_preview_key key = {};
	struct hs_preview_rule *rule;
	__u32 slot;

	if (!passage)
		return 0;
	ends_of(passage, &key);
	rule = bpf_map_lookup_elem(&hs_preview, &key);
	if (!rule || !front || !service)
		return 0;
	slot = rule->slot;
	if (slot < HS_SLOTS_MAX && front->hosts[slot].flags & HS_FRONT_CONFIGURED) {
		hs_count(rule->hits);
		hs_count(service->previewed);
		passage->choice = slot | 0xffff00 | (__u32)HS_WHY_PREVIEW << 24;
		return 0;
	}
	hs_count(rule->misses);
	hs_count(service->preview_misses);
	return 0;
}

static __always_inline __u32 host_of(const struct hs_control *control, struct passage *passage)
{
	__u8 flags = passage->packet.flags & (HS_TCP_SYN | HS_TCP_ACK | HS_TCP_RST);

	if (!passage->has_ports)
		return hs_unknown(passage);
	if (control->preview)
		hs_ask_rules(passage);
	if (passage->key.protocol == HS_PROTO_UDP)
		return host_of_datagram(control, passage);
	if (flags == HS_TCP_SYN && !(passage->packet.marks & (HS_PACKET_ERROR | HS_PACKET_LATER)))
		return host_of_syn(passage);
	return host_of_stream(passage);
}

/* ---- sending ---- */

/* The way to a host or, of answers, to a client. */
struct way {
	__u64 next_mac, own_mac;
	__u32 ifindex;
};

/* By the kernel's routes, which has to know the neighbour. `direct`: there must be no router
 * between. 0, or -1. */
static __noinline int ask_kernel(struct xdp_md *ctx, const __u8 ip[16], struct way *way, int direct)
{
	struct bpf_fib_lookup fib = {.ifindex = ctx->ingress_ifindex};
	int ipv4 = hs_is_ipv4(ip);

	if (ipv4) {
		fib.family = AF_INET;
		fib.ipv4_dst = hs_get32(ip + 12);
	} else {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_dst, ip, 16);
	}
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0))
		return -1;
	if (direct && ipv4 && (fib.family != AF_INET || fib.ipv4_dst != hs_get32(ip + 12)))
		return -1;
	if (direct && !ipv4 && !hs_same_ip((__u8 *)fib.ipv6_dst, ip))
		return -1;
	way->next_mac = hs_get_mac(fib.dmac);
	way->own_mac = hs_get_mac(fib.smac);
	way->ifindex = fib.ifindex;
	return 0;
}

/* 0, or -1: there is none. */
static __always_inline int way_to(struct xdp_md *ctx, const struct hs_front *front,
				  const struct hs_front_host *host, struct passage *passage,
				  struct way *way)
{
	if (passage->packet.vlan != host->vlan)
		return -1;
	way->next_mac = host->next_mac;
	way->own_mac = host->own_mac;
	way->ifindex = host->ifindex;
	if (way->next_mac)
		return 0;
	return ask_kernel(ctx, host->ip, way, front->mode == HS_FRONT_DSR);
}

static __always_inline int leave(struct xdp_md *ctx, const struct way *way)
{
	struct hs_frame frame = frame_of(ctx);

	if (hs_set_macs(&frame, way->next_mac, way->own_mac))
		return XDP_PASS;
	if (way->ifindex == ctx->ingress_ifindex)
		return XDP_TX;
	return (int)bpf_redirect(way->ifindex, 0);
}

/* Who else may know a packet of which no flow is known: policy hash, the other host of its bucket;
 * else the canary, or who was active before, or any other. HS_SLOT_NONE: nobody. */
static __always_inline __u32 second_host(const struct hs_front *front, struct passage *passage,
					 __u32 host)
{
	__u32 first = passage->choice >> 8 & 0xff, second = passage->choice >> 16 & 0xff, other;
	struct hs_control *control = the_control();
	__u64 before;

	if (passage->is_known || passage->begins || !control)
		return HS_SLOT_NONE;
	if (hs_word_policy(passage->word) == HS_POLICY_HASH) {
		other = first == host ? second : first;
	} else {
		before = *(volatile __u64 *)&control->previous_word;
		other = hs_word_canary(passage->word);
		if (other >= HS_SLOTS_MAX && before)
			other = hs_word_active(before);
		if (other == host)
			other = hs_word_active(passage->word);
		/* another front may have had another one active */
		if (other >= HS_SLOTS_MAX || other == host)
			other = hs_taking_host(front->taking & ~(1U << (host & 31)), host,
					       HS_SLOT_NONE);
	}
	if (other >= HS_SLOTS_MAX || other == host ||
	    !(front->hosts[other].flags & HS_FRONT_CONFIGURED))
		return HS_SLOT_NONE;
	return other;
}

/* The packet becomes an answer to the client: what may come. 1, or -1. */
static __noinline int tell_too_big(struct xdp_md *ctx, struct passage *passage, __u32 mtu)
{
	__u32 room = hs_too_big_size(&passage->packet), quote = hs_quote_size(&passage->packet);
	__u32 length = (__u32)bpf_xdp_get_buff_len(ctx), end;
	struct hs_frame frame;

	count_here(too_big);
	if (!quote || bpf_xdp_adjust_head(ctx, -(int)room))
		return -1;
	frame = frame_of(ctx);
	end = passage->packet.l3 + room + quote;
	if (hs_write_too_big(&frame, &passage->packet, mtu) ||
	    bpf_xdp_adjust_tail(ctx, (int)end - (int)(length + room)))
		return -1;
	return 1;
}

static __always_inline void fill_outer(const struct hs_front *front,
				       const struct hs_front_host *host, struct passage *passage,
				       __u32 number, struct hs_outer *outer)
{
	__u32 second = second_host(front, passage, number);

	hs_copy_ip(outer->source, host->outer);
	hs_copy_ip(outer->dest, host->ip);
	outer->flow_label = hash_of(passage) & 0xfffff;
	outer->has_second = 0;
	if (second >= HS_SLOTS_MAX)
		return;
	barrier_var(second);
	second &= HS_SLOTS_MAX - 1;
	if (hs_is_ipv4(front->hosts[second].ip) != hs_is_ipv4(host->ip))
		return;
	hs_copy_ip(outer->second, front->hosts[second].ip);
	outer->has_second = 1;
}

/* Puts the packet into one to the host. 0; above that: it is too big, and this is what may come;
 * -1. */
__noinline int hs_wrap(struct xdp_md *ctx, struct passage *passage, __u32 number)
{
	struct hs_front *front = the_front();
	struct hs_outer outer = {};
	struct hs_frame frame;
	__u32 room;

	if (!ctx || !passage || !front || number >= HS_SLOTS_MAX)
		return -1;
	fill_outer(front, &front->hosts[number], passage, number, &outer);
	room = hs_outer_size(&outer);
	if (passage->packet.size + room > front->hosts[number].mtu)
		return (int)(front->hosts[number].mtu - room);
	if (bpf_xdp_adjust_head(ctx, -(int)room))
		return -1;
	frame = frame_of(ctx);
	return hs_write_outer(&frame, &outer, &passage->packet);
}

/* Makes the packet what it has to be for the host, but for the MAC addresses. 0; 1: it is an answer
 * to the client now; -1. */
static __always_inline int change(struct xdp_md *ctx, const struct hs_front *front,
				  struct passage *passage, __u32 number)
{
	struct hs_frame frame;
	int r;

	if (front->mode == HS_FRONT_DSR)
		return 0;
	if (front->mode == HS_FRONT_IPIP) {
		r = hs_wrap(ctx, passage, number);
		return r > 0 ? tell_too_big(ctx, passage, (__u32)r) : r;
	}
	frame = frame_of(ctx);
	return hs_nat(&frame, &passage->packet, HS_END_DEST, passage->packet.dest,
		      front->hosts[number].ip);
}

static __always_inline int send(struct xdp_md *ctx, const struct hs_front *front,
				struct passage *passage, __u32 number)
{
	struct hs_front_traffic *traffic = traffic_of(number);
	struct way way;
	int r;

	if (way_to(ctx, front, &front->hosts[number], passage, &way)) {
		count_here(no_way);
		return passage->is_known ? XDP_DROP : XDP_PASS;
	}
	r = change(ctx, front, passage, number);
	if (r > 0)
		return XDP_TX;
	if (r < 0) {
		count_here(passed);
		return XDP_PASS;
	}
	if (traffic) {
		traffic->packets++;
		traffic->bytes += (__u32)passage->packet.l3 + passage->packet.size;
	}
	return leave(ctx, &way);
}

__noinline int hs_tell_trace(struct passage *passage)
{
	struct hs_preview_key ends = {};

	if (!passage)
		return 0;
	ends_of(passage, &ends);
	return trace(&ends, HS_SLOT_NONE, 0, passage->word, passage->choice);
}

/* ---- answers, of nat ---- */

/* Which host an answer is from. */
__noinline int hs_answerer(struct passage *passage)
{
	struct hs_front *front = the_front();

	if (!front || !passage)
		return HS_SLOTS_MAX;
	for (__u32 i = 0; i < HS_SLOTS_MAX; i++)
		if (front->hosts[i].flags & HS_FRONT_CONFIGURED &&
		    hs_same_ip(front->hosts[i].ip, passage->packet.source))
			return i;
	return HS_SLOTS_MAX;
}

/* An answer of a flow. */
static __always_inline void follow_back(struct passage *passage, struct hs_front_flow *flow)
{
	int is_error = passage->packet.marks & HS_PACKET_ERROR;
	__u8 flags = passage->packet.flags;

	if (flags & (HS_TCP_FIN | HS_TCP_RST) && !is_error)
		flow->marks |= HS_FRONT_CLOSING;
	if (!(flags & (HS_TCP_SYN | HS_TCP_RST)) && !is_error && !(flow->marks & HS_FRONT_ANSWERED))
		flow->marks |= HS_FRONT_ANSWERED;
	if (flow->seen != passage->tick)
		flow->seen = passage->tick;
	passage->client_mac = flow->client_mac;
}

/* Which address of the service the client has asked: that of a flow, or, if none is known, the only
 * one of this family. HS_FRONT_ADDRESSES_MAX: it is no answer. */
__noinline int hs_asked(struct passage *passage, __u32 host)
{
	struct hs_front *front = the_front();
	__u32 only = HS_FRONT_ADDRESSES_MAX, n = 0;
	struct hs_front_flow_key key;
	struct hs_front_flow *flow;
	int ipv4;

	if (!front || !passage)
		return HS_FRONT_ADDRESSES_MAX;
	ipv4 = passage->packet.family == 4;
	for (__u32 i = 0; i < HS_FRONT_ADDRESSES_MAX && i < front->n_addresses; i++) {
		if (hs_is_ipv4(front->addresses[i]) != ipv4)
			continue;
		passage->key.address = (__u8)i;
		key = passage->key;
		flow = bpf_map_lookup_elem(&hs_front_flows, &key);
		if (!flow)
			flow = bpf_map_lookup_elem(&hs_front_young, &key);
		if (!flow)
			flow = bpf_map_lookup_elem(&hs_front_fresh, &key);
		if (flow && flow->host == host) {
			follow_back(passage, flow);
			return i;
		}
		only = i;
		n++;
	}
	return n == 1 ? only : HS_FRONT_ADDRESSES_MAX;
}

static __always_inline int way_back(struct xdp_md *ctx, struct passage *passage, struct way *way)
{
	struct hs_frame frame = frame_of(ctx);
	const __u8 *ethernet = hs_at(&frame, 0, HS_ETHERNET);

	if (!ethernet)
		return -1;
	if (!passage->client_mac)
		return ask_kernel(ctx, passage->key.client, way, 0);
	way->next_mac = passage->client_mac;
	way->own_mac = hs_get_mac(ethernet);
	way->ifindex = ctx->ingress_ifindex;
	return 0;
}

/* What a host sends: its address becomes the service's again. */
static __noinline int answer(struct xdp_md *ctx, struct passage *passage)
{
	struct hs_packet *packet = &passage->packet;
	struct hs_front *front = the_front();
	struct hs_front_traffic *traffic;
	struct hs_frame frame;
	__u32 host, address;
	struct way way;

	if (!front)
		return XDP_PASS;
	host = hs_answerer(passage);
	passage->client_mac = 0;
	hs_copy_ip(passage->key.client, packet->dest);
	passage->key.client_port = packet->dest_port;
	passage->key.port = packet->source_port;
	address = passage->has_ports && host < HS_SLOTS_MAX ? hs_asked(passage, host)
							    : HS_FRONT_ADDRESSES_MAX;
	if (address >= HS_FRONT_ADDRESSES_MAX || way_back(ctx, passage, &way)) {
		count_here(passed);
		return XDP_PASS;
	}
	frame = frame_of(ctx);
	if (hs_nat(&frame, packet, HS_END_SOURCE, packet->source,
		   front->addresses[address & (HS_FRONT_ADDRESSES_MAX - 1)])) {
		count_here(passed);
		return XDP_PASS;
	}
	traffic = traffic_of(host);
	if (traffic) {
		traffic->back_packets++;
		traffic->back_bytes += (__u32)packet->l3 + packet->size;
	}
	return leave(ctx, &way);
}

/* ---- all of it ---- */

__noinline int hs_address(struct passage *passage)
{
	struct hs_front *front = the_front();

	return front && passage ? (int)hs_front_address(front, passage->packet.dest)
				: HS_FRONT_ADDRESSES_MAX;
}

/* The kernel's jiffies, of which there are 100 to 1000 in a second, by 32: a tick is longer, or as
 * good as that. */
#define PERIOD_SHIFT 5

static __always_inline __u32 present_tick(void)
{
	__u32 zero = 0;
	struct hs_front_pace *pace = bpf_map_lookup_elem(&hs_front_pace, &zero);
	__u64 period = (bpf_jiffies64() >> PERIOD_SHIFT) + 1;

	if (!pace)
		return 0;
	if (pace->period != period) {
		pace->tick = hs_front_tick(bpf_ktime_get_coarse_ns());
		pace->period = period;
	}
	return pace->tick;
}

/* 0: `passage` is filled, but for who the flow is of. -1: it cannot be read. */
static __noinline int look(struct xdp_md *ctx, struct passage *passage)
{
	struct hs_frame frame = frame_of(ctx);
	const __u8 *ethernet;
	int r = hs_parse(&frame, &passage->packet);

	if (r == HS_MALFORMED)
		r = parse_whole(ctx, &passage->packet);
	if (r != HS_PARSED)
		return -1;
	passage->has_ports = 1;
	if (passage->packet.marks & HS_PACKET_LATER && recall_fragment(&passage->packet))
		passage->has_ports = 0;
	passage->tick = present_tick();
	passage->choice = HS_CHOICE(HS_SLOT_NONE, HS_PLACES(HS_SLOT_NONE, HS_SLOT_NONE));
	passage->key.protocol = passage->packet.protocol;
	ethernet = hs_at(&frame, 0, HS_ETHERNET);
	if (ethernet)
		passage->client_mac = hs_get_mac(ethernet + 6);
	return 0;
}

static __always_inline int forward(struct xdp_md *ctx, const struct hs_control *control,
				   const struct hs_front *front, struct passage *passage)
{
	__u32 host;

	hs_copy_ip(passage->key.client, passage->packet.source);
	passage->key.client_port = passage->packet.source_port;
	passage->key.port = passage->packet.dest_port;
	passage->word = *(const volatile __u64 *)&control->word;
	if (front->mode != HS_FRONT_NAT)
		passage->client_mac = 0;
	host = host_of(control, passage);
	if (is_traced(passage->word) && (passage->begins || passage->is_known))
		hs_tell_trace(passage);
	if (host >= HS_SLOTS_MAX) {
		if (!passage->has_ports)
			count_here(fragments_lost);
		return XDP_PASS;
	}
	barrier_var(host);
	return send(ctx, front, passage, host & (HS_SLOTS_MAX - 1));
}

SEC("xdp.frags")
int hs_front_fwd(struct xdp_md *ctx)
{
	struct hs_control *control = the_control();
	struct hs_front *front = the_front();
	struct passage passage = {};
	__u32 address;

	if (!control || !front || front->layout != HS_FRONT_LAYOUT || look(ctx, &passage))
		return XDP_PASS;
	address = hs_same_ip(front->addresses[0], passage.packet.dest) ? 0 : hs_address(&passage);
	if (address < HS_FRONT_ADDRESSES_MAX) {
		passage.key.address = (__u8)address;
		return forward(ctx, control, front, &passage);
	}
	if (front->mode == HS_FRONT_NAT)
		return answer(ctx, &passage);
	count_here(passed);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
