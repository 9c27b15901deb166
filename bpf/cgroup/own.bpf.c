// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The own way (HS_PREVIEW_OWN in hs_abi.h): attached to the cgroup of each instance, it has what
 * the instance sends to its service over the loopback device land on the instance's own slot, or
 * nowhere. So a unit that waits in ExecStartPost= until its port answers, a watchdog's helper, a
 * start script that asks whether the server runs already, and a command of ExecStop= that tells the
 * server to stop by one of its ports mean this instance, whichever slot is active.
 *
 * As in exec.bpf.c the rule is written when the first packet leaves, and removed with the socket.
 * It fails open: without room for a rule the packet goes where all others go.
 */
#include "hs_own_marks.h"
#include "hs_packet.h"

#define LOOPBACK 1 /* its interface index in every network namespace */

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define PORTS	    4 /* the first bytes of both transport headers */

#define LET_GO 1

/* A datagram socket may send to one address after another; so many of its rules are kept. */
#define ENDS_MAX 4

int hs_own_egress(struct __sk_buff *skb);
int hs_own_release(struct bpf_sock *sk);

struct rules_template {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_PREVIEW_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct hs_preview_key));
	__uint(value_size, sizeof(struct hs_preview_rule));
};

/* hs_control.service_id to the map "preview/rules" of that service. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__array(values, struct rules_template);
} hs_own_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_OWN_PORTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_own_port);
	__type(value, __u8);
} hs_own_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, struct hs_own);
} hs_own SEC(".maps");

/* The rules of a socket. */
struct socket_rules {
	__u32 n; /* so many were made; the last ENDS_MAX are here */
	__u32 service_id;
	struct hs_preview_key keys[ENDS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct socket_rules);
} hs_own_sockets SEC(".maps");

/* Which build of these programs is pinned. Writer: who pins them, last. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hs_own_build SEC(".maps");

/* ---- the packet ---- */

/* Ports and protocol, of a packet that begins something: a SYN, any datagram. -1 for all others. */
static __always_inline int read_transport(struct __sk_buff *skb, __u32 offset,
					  struct hs_preview_key *key)
{
	__u8 *data, *end = (__u8 *)(long)skb->data_end;
	__be16 *ports;

	/* else clang 19 proves a bound that the verifier cannot see */
	barrier_var(offset);
	offset &= 63;
	data = (__u8 *)(long)skb->data + offset;
	if (data + PORTS > end)
		return -1;
	ports = (__be16 *)data;
	key->source_port = ports[0];
	key->dest_port = ports[1];
	if (key->protocol == IPPROTO_UDP)
		return 0;
	if (key->protocol != IPPROTO_TCP || data + TCP_FLAGS + 1 > end)
		return -1;
	return (data[TCP_FLAGS] & (TCP_SYN | TCP_ACK)) == TCP_SYN ? 0 : -1;
}

static __always_inline int read_opening(struct __sk_buff *skb, struct hs_preview_key *key)
{
	__u8 *data = (__u8 *)(long)skb->data, *end = (__u8 *)(long)skb->data_end;

	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (data + IPV6_HEADER > end)
			return -1;
		key->protocol = data[6];
		return read_transport(skb, IPV6_HEADER, key);
	}
	if (skb->protocol != bpf_htons(ETH_P_IP) || data + IPV4_HEADER > end)
		return -1;
	key->protocol = data[9];
	return read_transport(skb, (data[0] & 0xf) * 4, key);
}

static __always_inline int read_addresses(struct __sk_buff *skb, struct hs_preview_key *key)
{
	__be32 ipv4[2];

	key->netns = HS_PREVIEW_OWN;
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return bpf_skb_load_bytes(skb, 8, key, 32);
	if (bpf_skb_load_bytes(skb, 12, ipv4, sizeof(ipv4)))
		return -1;
	hs_map_ipv4(key->source, ipv4[0]);
	hs_map_ipv4(key->dest, ipv4[1]);
	return 0;
}

static __always_inline int is_for_service(const struct hs_own *own,
					  const struct hs_preview_key *key)
{
	struct hs_own_port port = {
		.service_id = own->service_id,
		.port = key->dest_port,
		.protocol = key->protocol,
	};

	return bpf_map_lookup_elem(&hs_own_ports, &port) != NULL;
}

/* ---- rules ---- */

static __always_inline void add_to_mark(__u32 index, __u32 by)
{
	__u32 *mark = bpf_map_lookup_elem(&hs_own_marks, &index);

	if (mark)
		__sync_fetch_and_add(mark, by);
}

static __always_inline void mark(__u32 service_id, const struct hs_preview_key *key, __u32 by)
{
	add_to_mark(bpf_ntohs(key->source_port) % HS_OWN_MARKS, by);
	add_to_mark(HS_OWN_MARKS + service_id % HS_OWN_SERVICES, by);
}

/* Whoever takes the rule away takes the mark away: user space may have done so. */
static __always_inline void end_rule(__u32 service_id, void *rules,
				     const struct hs_preview_key *key)
{
	if (!bpf_map_delete_elem(rules, key))
		mark(service_id, key, -1U);
}

/* So that the rule goes with the socket. */
static __always_inline int remember(struct hs_own *own, struct bpf_sock *sk, void *rules,
				    const struct hs_preview_key *key)
{
	struct socket_rules none = {.service_id = own->service_id}, *kept;
	__u32 n;

	kept = bpf_sk_storage_get(&hs_own_sockets, sk, &none, BPF_SK_STORAGE_GET_F_CREATE);
	if (!kept)
		return -1;
	n = __sync_fetch_and_add(&kept->n, 1);
	if (n >= ENDS_MAX)
		end_rule(own->service_id, rules, &kept->keys[n % ENDS_MAX]);
	else
		__sync_fetch_and_add(&own->rules, 1);
	kept->keys[n % ENDS_MAX] = *key;
	return 0;
}

static __always_inline void make_rule(struct __sk_buff *skb, struct hs_own *own,
				      struct bpf_sock *sk, void *rules,
				      const struct hs_preview_key *key)
{
	struct hs_preview_rule rule = {
		.owner = {.kind = HS_PREVIEW_CGROUP, .id = bpf_skb_cgroup_id(skb)},
		.slot = own->slot,
		.aside = 1,
		.only = 1,
	};
	struct hs_preview_rule *other = bpf_map_lookup_elem(rules, key);

	if (other && other->owner.id == rule.owner.id && other->slot == rule.slot)
		return;
	if (!other && *(volatile __s32 *)&own->rules >= HS_OWN_RULES_MAX)
		return;
	/* what is there is a dead socket's: the ends are this one's, and it is marked */
	if (bpf_map_update_elem(rules, key, &rule, other ? BPF_ANY : BPF_NOEXIST))
		return;
	if (!other)
		mark(own->service_id, key, 1);
	if (remember(own, sk, rules, key))
		end_rule(own->service_id, rules, key);
}

SEC("cgroup_skb/egress")
int hs_own_egress(struct __sk_buff *skb)
{
	struct hs_preview_key key = {};
	struct bpf_sock *sk = skb->sk;
	struct hs_own *own;
	void *rules;

	if (skb->ifindex != LOOPBACK || read_opening(skb, &key) || !sk)
		return LET_GO;
	own = bpf_get_local_storage(&hs_own, 0);
	if (!own->on || !is_for_service(own, &key))
		return LET_GO;
	sk = bpf_sk_fullsock(sk);
	rules = bpf_map_lookup_elem(&hs_own_rules, &own->service_id);
	if (sk && rules && !read_addresses(skb, &key))
		make_rule(skb, own, sk, rules, &key);
	return LET_GO;
}

SEC("cgroup/sock_release")
int hs_own_release(struct bpf_sock *sk)
{
	struct socket_rules *kept = bpf_sk_storage_get(&hs_own_sockets, sk, NULL, 0);
	struct hs_own *own = bpf_get_local_storage(&hs_own, 0);
	void *rules;
	__u32 n;

	if (!kept)
		return LET_GO;
	/* once, should programs of two builds be attached */
	n = __sync_lock_test_and_set(&kept->n, 0);
	rules = bpf_map_lookup_elem(&hs_own_rules, &kept->service_id);
	for (__u32 i = 0; i < ENDS_MAX && i < n; i++) {
		if (rules)
			end_rule(kept->service_id, rules, &kept->keys[i]);
		__sync_fetch_and_add(&own->rules, -1);
	}
	return LET_GO;
}

char _license[] SEC("license") = "GPL";
