/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What selectors need the two ends of a connection for: preview rules, and canaries that go by the
 * client's address. Included by selectors only.
 *
 * The packet begins at its transport header here, so the addresses are read with
 * bpf_skb_load_bytes_relative(). When a waiting connection migrates there is no packet; then they
 * are those of the connection.
 */
#pragma once

#include "hs_canary.h"
#include "hs_own_marks.h"
#include "hs_packet.h"
#include "hs_rules.h"
#include "hs_select.h"

/* A rule says so, and its slot has no socket: the one case in which a selector turns somebody away.
 */
#define HS_SLOT_REFUSED 0xfe

int hs_ends(struct sk_reuseport_md *md, struct hs_preview_key *key);
__u64 hs_classify(struct sk_reuseport_md *md);
int hs_follow_rule(struct sk_reuseport_md *md, __u32 hash, int marked);

/* Inode of the network namespace that this listener is in; 0 = the manager's own. */
const volatile __u32 hs_netns = 0;

/* Both addresses from the packet's network header. 0 when they could be read. */
static __always_inline int hs_packet_ends(struct sk_reuseport_md *md, struct hs_preview_key *key)
{
	__be32 ipv4[2];

	if (md->eth_protocol == bpf_htons(ETH_P_IPV6))
		/* source and destination lie one behind the other, in the header as in the key */
		return bpf_skb_load_bytes_relative(md, 8, key, 32, BPF_HDR_START_NET);
	if (md->eth_protocol != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes_relative(md, 12, ipv4, sizeof(ipv4), BPF_HDR_START_NET))
		return -1;
	hs_map_ipv4(key->source, ipv4[0]);
	hs_map_ipv4(key->dest, ipv4[1]);
	return 0;
}

/* A connection of IPv4 on a listener of both families may have its addresses in either form. */
static __always_inline void hs_socket_ends(struct bpf_sock *moving, struct hs_preview_key *key)
{
	__be32 *source = (__be32 *)key->source, *dest = (__be32 *)key->dest;

	source[0] = moving->dst_ip6[0];
	source[1] = moving->dst_ip6[1];
	source[2] = moving->dst_ip6[2];
	source[3] = moving->dst_ip6[3];
	dest[0] = moving->src_ip6[0];
	dest[1] = moving->src_ip6[1];
	dest[2] = moving->src_ip6[2];
	dest[3] = moving->src_ip6[3];
	if (moving->family == AF_INET6 && (source[0] | source[1] | source[2] | source[3]))
		return;
	hs_map_ipv4(key->source, moving->dst_ip4);
	hs_map_ipv4(key->dest, moving->src_ip4);
}

static __always_inline int hs_packet_ports(struct sk_reuseport_md *md, struct hs_preview_key *key)
{
	__be16 *ports = md->data;

	if ((void *)(ports + 2) > md->data_end)
		return -1;
	key->source_port = ports[0];
	key->dest_port = ports[1];
	return 0;
}

/* The whole key. 0 when the connection's ends are known. By itself: the verifier looks at it once,
 * and each time that it rewrites an instruction it copies what it knows of all of them. */
__noinline int hs_ends(struct sk_reuseport_md *md, struct hs_preview_key *key)
{
	struct bpf_sock *moving = md ? md->migrating_sk : NULL;

	if (!md || !key)
		return -1;
	if (moving) {
		hs_socket_ends(moving, key);
		/* volatile: the verifier knows this field by its offset in one load */
		key->source_port = *(volatile __be16 *)&moving->dst_port;
		key->dest_port = bpf_htons((__u16)moving->src_port);
	} else if (hs_packet_ends(md, key) || hs_packet_ports(md, key)) {
		return -1;
	}
	key->protocol = (__u8)md->ip_protocol;
	if (hs_is_loopback(key->dest))
		key->netns = hs_netns;
	return 0;
}

static __always_inline __u32 hs_mark(__u32 index)
{
	__u32 *mark = bpf_map_lookup_elem(&hs_own_marks, &index);

	return mark ? *(volatile __u32 *)mark : 0;
}

/* Whether there may be a rule of an instance's own for this client port (host byte order). */
static __always_inline int hs_is_marked(__u32 service_id, __u16 sport)
{
	return hs_mark(HS_OWN_MARKS + service_id % HS_OWN_SERVICES) &&
	       hs_mark(sport % HS_OWN_MARKS);
}

static __always_inline struct hs_preview_rule *hs_preview_rule(struct sk_reuseport_md *md,
							       int marked)
{
	struct hs_preview_key key = {};
	struct hs_preview_rule *rule;

	if (hs_ends(md, &key))
		return NULL;
	rule = bpf_map_lookup_elem(&hs_preview, &key);
	if (rule || !marked)
		return rule;
	key.netns = HS_PREVIEW_OWN;
	return bpf_map_lookup_elem(&hs_preview, &key);
}

/* What hs_classify() has found out, as a number, which is all that such a function may give. */
#define HS_CLASS_LEFT_OUT  (1ULL << 32)
#define HS_CLASS_BY_CLIENT (1ULL << 33)

__noinline __u64 hs_classify(struct sk_reuseport_md *md)
{
	struct hs_control *control = the_control();
	struct hs_preview_key key = {};
	struct hs_flow flow = {};

	if (!md || !control || hs_ends(md, &key))
		return HS_CLASS_LEFT_OUT; /* an address that cannot be read */
	hs_classify_client(control, key.source, &flow);
	return flow.client | (flow.left_out ? HS_CLASS_LEFT_OUT : 0) |
	       (flow.by_client ? HS_CLASS_BY_CLIENT : 0);
}

static __always_inline void classify(struct sk_reuseport_md *md, struct hs_flow *flow)
{
	__u64 found = hs_classify(md);

	flow->client = (__u32)found;
	flow->left_out = !!(found & HS_CLASS_LEFT_OUT);
	flow->by_client = !!(found & HS_CLASS_BY_CLIENT);
}

/* The slot that a preview rule sends this connection to, once it has been sent; HS_SLOT_REFUSED
 * when it is to go nowhere else; else HS_SLOT_NONE. */
__noinline int hs_follow_rule(struct sk_reuseport_md *md, __u32 hash, int marked)
{
	struct hs_service_counters *service = service_counters();
	struct hs_preview_rule *rule;
	__u32 slot;

	if (!md || !service)
		return HS_SLOT_NONE;
	rule = hs_preview_rule(md, marked);
	if (!rule)
		return HS_SLOT_NONE;
	slot = rule->slot;
	if (slot < HS_SLOTS_MAX &&
	    (!hs_try_slot(md, slot, hash) || (rule->aside && !hs_try_aside(md, slot)))) {
		hs_count(rule->hits);
		hs_count(service->previewed);
		return (int)slot;
	}
	hs_count(rule->misses);
	hs_count(service->preview_misses);
	return rule->only ? HS_SLOT_REFUSED : HS_SLOT_NONE;
}

static __always_inline __u32 hs_try_preview(struct sk_reuseport_md *md, const struct hs_flow *flow,
					    const struct hs_control *control)
{
	int marked = hs_is_marked(control->service_id, flow->sport);

	if (!control->preview && !marked)
		return HS_SLOT_NONE;
	return (__u32)hs_follow_rule(md, flow->hash, marked);
}
