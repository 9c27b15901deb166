// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hsctl exec: attached to the cgroup of a command, it has every connection that the command begins
 * with a service's ports land on the slot that was asked for, by a preview rule (hs_abi.h).
 *
 * The rule is written when the first packet of a connection leaves: the kernel has chosen the
 * source address and port by then and has done its NAT, and nobody has seen the packet yet, also
 * not the selector at the other end of the loopback device. It is removed when the socket is
 * closed.
 *
 * Unlike a selector, this does not fail open: a packet for which no rule can be made
 * would reach a slot that was not asked for, the active one as a rule. It is held back. Only this
 * command's packets to this service are concerned.
 */
#include "hs_packet.h"
#include "hs_rules.h"

#define LET_GO	  1
#define HOLD_BACK 0

/* A datagram socket may send from one address after another; so many of its rules are kept. */
#define ENDS_MAX 4
#define E2BIG	 7

int hs_exec_egress(struct __sk_buff *skb);
int hs_exec_release(struct bpf_sock *sk);

struct socket_rules {
	struct hs_preview_key keys[ENDS_MAX];
	__u32 n; /* so many were made; the last ENDS_MAX are here */
};

/* The rules of each socket, by its cookie. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_PREVIEW_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct socket_rules);
} hs_exec_sockets SEC(".maps");

/* A new socket's value: too large for the stack beside what else is there. Never written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct socket_rules);
} hs_exec_none SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, struct hs_exec_port);
	__type(value, __u8);
} hs_exec_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct hs_exec_counts);
} hs_exec_counts SEC(".maps");

const volatile __u64 hs_owner = 0; /* id of the cgroup */
const volatile __u32 hs_netns = 0; /* the command's network namespace, as in a rule */
const volatile __u32 hs_slot = 0;

static __always_inline struct hs_exec_counts *counts(void)
{
	return bpf_map_lookup_elem(&hs_exec_counts, &(__u32) {0});
}

static __always_inline int is_ours(const struct hs_preview_rule *rule)
{
	return rule->owner.kind == HS_PREVIEW_CGROUP && rule->owner.id == hs_owner;
}

/* Both addresses and the protocol. Returns where the transport header is, or -1. */
static __always_inline int read_network(struct __sk_buff *skb, struct hs_preview_key *key)
{
	__be32 ipv4[2];
	__u8 first;

	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (bpf_skb_load_bytes(skb, 6, &key->protocol, 1) ||
		    bpf_skb_load_bytes(skb, 8, key, 32))
			return -1;
		return 40;
	}
	if (skb->protocol != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, 0, &first, 1) ||
	    bpf_skb_load_bytes(skb, 9, &key->protocol, 1) ||
	    bpf_skb_load_bytes(skb, 12, ipv4, sizeof(ipv4)))
		return -1;
	hs_map_ipv4(key->source, ipv4[0]);
	hs_map_ipv4(key->dest, ipv4[1]);
	return (first & 0xf) * 4;
}

/* 1 when the packet begins something that may need a rule: a SYN, any datagram. */
static __always_inline int read_packet(struct __sk_buff *skb, struct hs_preview_key *key)
{
	int transport = read_network(skb, key);
	__be16 ports[2];
	__u8 flags;

	if (transport < 0 || bpf_skb_load_bytes(skb, transport, ports, sizeof(ports)))
		return 0;
	key->source_port = ports[0];
	key->dest_port = ports[1];
	if (hs_is_loopback(key->dest))
		key->netns = hs_netns;
	if (key->protocol == IPPROTO_UDP)
		return 1;
	if (key->protocol != IPPROTO_TCP ||
	    bpf_skb_load_bytes(skb, transport + TCP_FLAGS, &flags, 1))
		return 0;
	return (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline int is_for_service(const struct hs_preview_key *key)
{
	struct hs_exec_port port = {.port = key->dest_port, .protocol = key->protocol};

	return bpf_map_lookup_elem(&hs_exec_ports, &port) != NULL;
}

/* Takes a rule of ours away, and counts what became of its connection. */
static __always_inline void end_rule(const struct hs_preview_key *key)
{
	struct hs_preview_rule *rule = bpf_map_lookup_elem(&hs_preview, key);
	struct hs_exec_counts *count = counts();

	if (!rule || !count || !is_ours(rule))
		return;
	if (rule->misses)
		hs_count(count->missed);
	else if (rule->hits)
		hs_count(count->arrived);
	else
		hs_count(count->unseen);
	bpf_map_delete_elem(&hs_preview, key);
}

/* So that the rule goes with the socket. */
static __always_inline int remember(struct __sk_buff *skb, const struct hs_preview_key *key)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct socket_rules *rules = bpf_map_lookup_elem(&hs_exec_sockets, &cookie), *none;
	__u32 n;

	if (!rules) {
		none = bpf_map_lookup_elem(&hs_exec_none, &(__u32) {0});
		if (!none ||
		    bpf_map_update_elem(&hs_exec_sockets, &cookie, none, BPF_NOEXIST) == -E2BIG)
			return -1;
		rules = bpf_map_lookup_elem(&hs_exec_sockets, &cookie);
		if (!rules)
			return -1;
	}
	n = __sync_fetch_and_add(&rules->n, 1);
	if (n >= ENDS_MAX)
		end_rule(&rules->keys[n % ENDS_MAX]);
	rules->keys[n % ENDS_MAX] = *key;
	return 0;
}

static __always_inline int make_rule(struct __sk_buff *skb, const struct hs_preview_key *key)
{
	struct hs_preview_rule rule = {
		.owner = {.kind = HS_PREVIEW_CGROUP, .id = hs_owner},
		.slot = (__u8)hs_slot,
	};
	struct hs_exec_counts *count = counts();

	if (!count)
		return HOLD_BACK;
	if (bpf_map_update_elem(&hs_preview, key, &rule, BPF_ANY)) {
		hs_count(count->blocked);
		return HOLD_BACK;
	}
	if (remember(skb, key)) {
		bpf_map_delete_elem(&hs_preview, key);
		hs_count(count->blocked);
		return HOLD_BACK;
	}
	hs_count(count->begun);
	return LET_GO;
}

SEC("cgroup_skb/egress")
int hs_exec_egress(struct __sk_buff *skb)
{
	struct hs_preview_key key = {};
	struct hs_preview_rule *rule;

	if (!read_packet(skb, &key) || !is_for_service(&key))
		return LET_GO;
	rule = bpf_map_lookup_elem(&hs_preview, &key);
	if (rule && is_ours(rule))
		return LET_GO;
	/* somebody else's rule for the same two ends is a dead one's: the ends are this socket's */
	return make_rule(skb, &key);
}

SEC("cgroup/sock_release")
int hs_exec_release(struct bpf_sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(sk);
	struct socket_rules *rules = bpf_map_lookup_elem(&hs_exec_sockets, &cookie);

	if (!rules)
		return LET_GO;
	for (__u32 i = 0; i < ENDS_MAX && i < rules->n; i++)
		end_rule(&rules->keys[i]);
	bpf_map_delete_elem(&hs_exec_sockets, &cookie);
	return LET_GO;
}

char _license[] SEC("license") = "GPL";
