// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Takes packets out of those that a front has put them into (hs_decap.h). In tc, behind the device
 * and before all else: a server's device goes on as it was, with large packets, whatever MTU, and a
 * program of somebody else's in XDP, of which there can be one; and what has been taken out comes
 * from the very device, as if it had never been inside, so that no tunnel has to be there.
 *
 * What is not for a service of ours, or not to this host, is left alone: the kernel's own tunnel
 * may be for it.
 */
#include "hs_bpf.h"
#include "hs_decap.h"
#include "hs_front.h"
#include "hs_packet.h"
#include "hs_tc.h"

#define GO_ON (-1) /* TC_ACT_UNSPEC: the next one decides */

#define PACKET_HOST	 0
#define ETHERNET	 14
#define IPV4_HEADER	 20
#define IPV6_HEADER	 40
#define FRAGMENT	 0x3fff
#define LATER		 0x1fff
#define TTL		 64
#define VLAN_ID		 0xfff
#define IPPROTO_ICMP	 1
#define IPPROTO_IPIP	 4
#define IPPROTO_IPV6	 41
#define IPPROTO_HOPOPTS	 0
#define IPPROTO_ROUTING	 43
#define IPPROTO_FRAGMENT 44
#define EXTENSIONS	 6 /* HS_IPV6_HEADERS of hs_forward.h */
#define IPPROTO_ICMPV6	 58
#define IPPROTO_DSTOPTS	 60
#define TCP_LISTEN	 10
#define TCP_HEADER	 20
#define TCP_RST		 0x04

int hs_decap(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_DECAP_PORTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_decap_port);
	__type(value, __u32);
} hs_decap_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, HS_DECAP_SERVICES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct hs_decap_counts);
} hs_decap_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, HS_DECAP_PEERS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hs_decap_peer);
	__type(value, __u32);
} hs_decap_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_DECAP_SERVICES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} hs_decap_only SEC(".maps");

/* For user space alone. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hs_decap_state);
} hs_decap_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_TC_DEVICES_MAX);
	__type(key, __u32);
	__type(value, struct hs_tc_device);
} hs_decap_devs SEC(".maps");

/* Which build of the program is pinned. Writer: who pins it, last. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hs_decap_build SEC(".maps");

struct outer {
	__u8 source[16], dest[16];
	__u8 second[16];
	__u32 size;
	__u8 ipv6, has_second;
	__u8 inner_ipv6;
};

struct inner {
	__u8 source[16], dest[16];
	__be16 ports[2];
	__u32 offset, transport;
	__u8 ipv6, protocol, flags;
	__u8 no_ports;
};

static __always_inline int is_same(const __u8 a[16], const __u8 b[16])
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

/* ---- the outer header ---- */

static __always_inline int read_outer4(struct __sk_buff *skb, struct outer *outer)
{
	__u8 header[IPV4_HEADER], option[HS_SECOND_OPTION_SIZE];
	__be32 *words = (__be32 *)header;

	if (bpf_skb_load_bytes(skb, ETHERNET, header, sizeof(header)) ||
	    (header[9] != IPPROTO_IPIP && header[9] != IPPROTO_IPV6) ||
	    (((__be16 *)header)[3] & bpf_htons(FRAGMENT)))
		return -1;
	outer->inner_ipv6 = header[9] == IPPROTO_IPV6;
	outer->size = (header[0] & 0xf) * 4;
	hs_map_ipv4(outer->source, words[3]);
	hs_map_ipv4(outer->dest, words[4]);
	if (outer->size != IPV4_HEADER + HS_SECOND_OPTION_SIZE ||
	    bpf_skb_load_bytes(skb, ETHERNET + IPV4_HEADER, option, sizeof(option)) ||
	    option[0] != HS_SECOND_OPTION || option[1] != HS_SECOND_OPTION_SIZE)
		return 0;
	outer->has_second = 1;
	hs_map_ipv4(outer->second, ((__be32 *)option)[1]);
	return 0;
}

/* The header of the second host, behind that of IPv6. -1: there is none of ours. */
static __always_inline int read_second6(struct __sk_buff *skb, struct outer *outer,
					__u8 *ret_protocol)
{
	__u8 header[HS_SECOND_HEADER6];

	if (bpf_skb_load_bytes(skb, ETHERNET + IPV6_HEADER, header, sizeof(header)) ||
	    header[1] != HS_SECOND_HEADER6 / 8 - 1 || header[2] != HS_SECOND_OPTION6 ||
	    header[3] != 16)
		return -1;
	*ret_protocol = header[0];
	outer->has_second = 1;
	outer->size = IPV6_HEADER + HS_SECOND_HEADER6;
	__builtin_memcpy(outer->second, header + 4, 16);
	return 0;
}

static __always_inline int read_outer6(struct __sk_buff *skb, struct outer *outer)
{
	__u8 protocol;

	outer->ipv6 = 1;
	outer->size = IPV6_HEADER;
	if (bpf_skb_load_bytes(skb, ETHERNET + 6, &protocol, 1) ||
	    bpf_skb_load_bytes(skb, ETHERNET + 8, outer->source, 16) ||
	    bpf_skb_load_bytes(skb, ETHERNET + 24, outer->dest, 16))
		return -1;
	if (protocol == IPPROTO_DSTOPTS && read_second6(skb, outer, &protocol))
		return -1;
	outer->inner_ipv6 = protocol == IPPROTO_IPV6;
	return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6 ? 0 : -1;
}

/* Most packets are none, and go by this alone. What is not in one piece is looked at further. */
static __always_inline int may_be_packed(struct __sk_buff *skb)
{
	const __u8 *data = (__u8 *)(long)skb->data, *end = (__u8 *)(long)skb->data_end;
	__u8 protocol;

	if (skb->pkt_type != PACKET_HOST)
		return 0;
	if (data + ETHERNET + IPV4_HEADER > end)
		return 1;
	protocol = skb->protocol == bpf_htons(ETH_P_IP) ? data[ETHERNET + 9] : data[ETHERNET + 6];
	return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6 || protocol == IPPROTO_DSTOPTS;
}

/* -1: no packet with another one in it. */
static __always_inline int read_outer(struct __sk_buff *skb, struct outer *outer)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return read_outer4(skb, outer);
	return skb->protocol == bpf_htons(ETH_P_IPV6) ? read_outer6(skb, outer) : -1;
}

/* ---- the inner packet ---- */

static __always_inline int read_inner4(struct __sk_buff *skb, struct inner *inner)
{
	__u8 header[IPV4_HEADER];

	if (bpf_skb_load_bytes(skb, inner->offset, header, sizeof(header)) || header[0] >> 4 != 4)
		return -1;
	inner->protocol = header[9];
	inner->no_ports = (((__be16 *)header)[3] & bpf_htons(LATER)) != 0;
	inner->transport = inner->offset + (header[0] & 0xf) * 4;
	hs_map_ipv4(inner->source, ((__be32 *)header)[3]);
	hs_map_ipv4(inner->dest, ((__be32 *)header)[4]);
	return 0;
}

/* One header between that of IPv6 and the transport's, as a front reads it (hs_forward.h). 1: there
 * is one more; 0: it is none; -1: it lies, or the packet is for another machine in the end. */
static __always_inline int read_extension(struct __sk_buff *skb, struct inner *inner)
{
	__u8 header[8];

	if (inner->protocol != IPPROTO_HOPOPTS && inner->protocol != IPPROTO_ROUTING &&
	    inner->protocol != IPPROTO_DSTOPTS)
		return 0;
	if (bpf_skb_load_bytes(skb, inner->transport, header, sizeof(header)) ||
	    (inner->protocol == IPPROTO_ROUTING && header[3]))
		return -1;
	inner->protocol = header[0];
	inner->transport += 8 + header[1] * 8;
	return 1;
}

/* Fragments, of which the first one has no ports either where they are looked for. */
static __always_inline int read_inner6(struct __sk_buff *skb, struct inner *inner)
{
	int more = 1;
	__u8 first;

	inner->ipv6 = 1;
	if (bpf_skb_load_bytes(skb, inner->offset, &first, 1) || first >> 4 != 6 ||
	    bpf_skb_load_bytes(skb, inner->offset + 6, &inner->protocol, 1) ||
	    bpf_skb_load_bytes(skb, inner->offset + 8, inner->source, 16) ||
	    bpf_skb_load_bytes(skb, inner->offset + 24, inner->dest, 16))
		return -1;
	inner->transport = inner->offset + IPV6_HEADER;
	for (int i = 0; i < EXTENSIONS && more > 0; i++)
		more = read_extension(skb, inner);
	inner->no_ports = inner->protocol == IPPROTO_FRAGMENT;
	return more < 0 ? -1 : 0;
}

static __always_inline int read_ports(struct __sk_buff *skb, struct inner *inner)
{
	if (inner->protocol == IPPROTO_ICMP || inner->protocol == IPPROTO_ICMPV6)
		inner->no_ports = 1;
	if (inner->no_ports)
		return 0;
	if ((inner->protocol != IPPROTO_TCP && inner->protocol != IPPROTO_UDP) ||
	    bpf_skb_load_bytes(skb, inner->transport, inner->ports, sizeof(inner->ports)))
		return -1;
	return inner->protocol == IPPROTO_TCP
		       ? bpf_skb_load_bytes(skb, inner->transport + TCP_FLAGS, &inner->flags, 1)
		       : 0;
}

static __always_inline int read_inner(struct __sk_buff *skb, const struct outer *outer,
				      struct inner *inner)
{
	inner->offset = ETHERNET + outer->size;
	if (outer->inner_ipv6 ? read_inner6(skb, inner) : read_inner4(skb, inner))
		return -1;
	return read_ports(skb, inner);
}

/* ---- whose it is ---- */

/* What is not forwarded comes here. Where nothing is, there is nobody else to leave it to. */
static __always_inline int is_local(struct __sk_buff *skb, const __u8 source[16],
				    const __u8 dest[16], int ipv6)
{
	struct bpf_fib_lookup way = {.ifindex = skb->ifindex};
	long r;

	if (ipv6) {
		way.family = AF_INET6;
		__builtin_memcpy(way.ipv6_src, source, 16);
		__builtin_memcpy(way.ipv6_dst, dest, 16);
	} else {
		way.family = AF_INET;
		way.ipv4_src = ((const __be32 *)source)[3];
		way.ipv4_dst = ((const __be32 *)dest)[3];
	}
	r = bpf_fib_lookup(skb, &way, sizeof(way), 0);
	return r == BPF_FIB_LKUP_RET_NOT_FWDED || r == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

/* ---- whom it has to do with ---- */

static __always_inline int is_peer(__u32 service, const __u8 ip[16], __u32 flag)
{
	struct hs_decap_peer key = {.length = 32 + 128, .service_id = service};
	__u32 *flags;

	__builtin_memcpy(key.ip, ip, 16);
	flags = bpf_map_lookup_elem(&hs_decap_peers, &key);
	return !flags || *flags & flag;
}

/* By the device that the service names, or by any. */
static __always_inline int comes_right(struct __sk_buff *skb, __u32 service)
{
	const __u32 *only = bpf_map_lookup_elem(&hs_decap_only, &service);

	return !only || *only == skb->ifindex;
}

/* ---- for which service ---- */

static __always_inline int takes(struct __sk_buff *skb, const struct outer *outer, __u32 service)
{
	return comes_right(skb, service) && is_peer(service, outer->source, HS_DECAP_FROM);
}

/* Several services may have the address: the first one that takes it. */
static __always_inline __u32 find_by_address(struct __sk_buff *skb, const struct outer *outer,
					     struct hs_decap_port *key)
{
	const __u32 *service;

	for (__u32 i = 0; i < HS_DECAP_SHARING_MAX; i++) {
		key->port = bpf_htons(i);
		service = bpf_map_lookup_elem(&hs_decap_ports, key);
		if (!service)
			return 0;
		if (takes(skb, outer, *service))
			return *service;
	}
	return 0;
}

static __always_inline __u32 find_by_ports(const struct inner *inner, struct hs_decap_port *key)
{
	const __u32 *service;

	key->port = inner->ports[1];
	key->protocol = inner->protocol;
	service = bpf_map_lookup_elem(&hs_decap_ports, key);
	return service ? *service : 0;
}

/* 0: none of ours that takes it. */
static __always_inline __u32 find_service(struct __sk_buff *skb, const struct outer *outer,
					  const struct inner *inner)
{
	struct hs_decap_port key = {};
	__u32 service;

	__builtin_memcpy(key.ip, inner->dest, 16);
	service = inner->no_ports ? find_by_address(skb, outer, &key) : find_by_ports(inner, &key);
	if (!service) {
		if (inner->ipv6)
			__builtin_memset(key.ip, 0, 16);
		else
			hs_map_ipv4(key.ip, 0);
		service = inner->no_ports ? find_by_address(skb, outer, &key)
					  : find_by_ports(inner, &key);
		if (service && !is_local(skb, inner->source, inner->dest, inner->ipv6))
			return 0;
	}
	return service && (inner->no_ports || takes(skb, outer, service)) ? service : 0;
}

/* ---- whether it is known here ---- */

/* While cookies are handed out, the answer to one looks like this. */
static __always_inline int is_cookie(struct __sk_buff *skb, struct bpf_sock *listener,
				     const struct inner *inner)
{
	__u8 ip[IPV6_HEADER], tcp[TCP_HEADER];

	if ((inner->flags & (TCP_ACK | TCP_RST)) != TCP_ACK ||
	    bpf_skb_load_bytes(skb, inner->transport, tcp, sizeof(tcp)))
		return 0;
	if (inner->ipv6)
		return !bpf_skb_load_bytes(skb, inner->offset, ip, IPV6_HEADER) &&
		       !bpf_tcp_check_syncookie(listener, ip, IPV6_HEADER, (void *)tcp,
						sizeof(tcp));
	return !bpf_skb_load_bytes(skb, inner->offset, ip, IPV4_HEADER) &&
	       !bpf_tcp_check_syncookie(listener, ip, IPV4_HEADER, (void *)tcp, sizeof(tcp));
}

static __always_inline struct bpf_sock *find_socket(struct __sk_buff *skb,
						    const struct inner *inner)
{
	struct bpf_sock_tuple ends = {};

	if (!inner->ipv6) {
		ends.ipv4.saddr = ((const __be32 *)inner->source)[3];
		ends.ipv4.daddr = ((const __be32 *)inner->dest)[3];
		ends.ipv4.sport = inner->ports[0];
		ends.ipv4.dport = inner->ports[1];
		return bpf_skc_lookup_tcp(skb, &ends, sizeof(ends.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	__builtin_memcpy(ends.ipv6.saddr, inner->source, 16);
	__builtin_memcpy(ends.ipv6.daddr, inner->dest, 16);
	ends.ipv6.sport = inner->ports[0];
	ends.ipv6.dport = inner->ports[1];
	return bpf_skc_lookup_tcp(skb, &ends, sizeof(ends.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* Of a connection that is not here: neither established, nor under way, nor just ended. */
static __always_inline int is_stranger(struct __sk_buff *skb, const struct inner *inner)
{
	struct bpf_sock *socket;
	int known;

	if (inner->no_ports || inner->protocol != IPPROTO_TCP ||
	    (inner->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return 0;
	socket = find_socket(skb, inner);
	if (!socket)
		return 1;
	known = socket->state != TCP_LISTEN || is_cookie(skb, socket, inner);
	bpf_sk_release(socket);
	return !known;
}

/* ---- taking it out ---- */

static __always_inline int set_type(struct __sk_buff *skb, int ipv6)
{
	__be16 type = ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);

	return bpf_skb_store_bytes(skb, ETHERNET - 2, &type, sizeof(type), 0);
}

/* To another family by way of a header of that one, which is as long as such headers are. */
static __always_inline long take_out(struct __sk_buff *skb, const struct outer *outer)
{
	__s32 more = IPV6_HEADER - IPV4_HEADER, size = outer->size;
	long r = 0;

	if (outer->ipv6 && !outer->inner_ipv6) {
		r = bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0);
		size -= more;
	} else if (!outer->ipv6 && outer->inner_ipv6) {
		r = bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0);
		size += more;
	}
	if (!r)
		r = bpf_skb_adjust_room(skb, -size, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
	return r ?: set_type(skb, outer->inner_ipv6);
}

/* ---- passing it on ---- */

static __always_inline __u16 sum_of_header(const __u8 *header)
{
	__s64 sum = bpf_csum_diff(NULL, 0, (__be32 *)header, IPV4_HEADER, 0);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline long readdress4(struct __sk_buff *skb, const struct outer *outer)
{
	__u8 header[IPV4_HEADER];
	__be16 *words = (__be16 *)header;
	__be32 *ends = (__be32 *)(header + 12);

	if (bpf_skb_adjust_room(skb, -HS_SECOND_OPTION_SIZE, BPF_ADJ_ROOM_NET,
				BPF_F_ADJ_ROOM_FIXED_GSO) ||
	    bpf_skb_load_bytes(skb, ETHERNET, header, sizeof(header)))
		return -1;
	header[0] = 0x45;
	words[1] = bpf_htons(bpf_ntohs(words[1]) - HS_SECOND_OPTION_SIZE);
	header[8] = TTL;
	words[5] = 0;
	ends[0] = ((const __be32 *)outer->dest)[3];
	ends[1] = ((const __be32 *)outer->second)[3];
	words[5] = sum_of_header(header);
	return bpf_skb_store_bytes(skb, ETHERNET, header, sizeof(header), 0);
}

static __always_inline long readdress6(struct __sk_buff *skb, const struct outer *outer)
{
	__u8 header[IPV6_HEADER];
	__be16 *words = (__be16 *)header;

	if (bpf_skb_adjust_room(skb, -HS_SECOND_HEADER6, BPF_ADJ_ROOM_NET,
				BPF_F_ADJ_ROOM_FIXED_GSO) ||
	    bpf_skb_load_bytes(skb, ETHERNET, header, sizeof(header)))
		return -1;
	words[2] = bpf_htons(bpf_ntohs(words[2]) - HS_SECOND_HEADER6);
	header[6] = outer->inner_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	header[7] = TTL;
	__builtin_memcpy(header + 8, outer->dest, 16);
	__builtin_memcpy(header + 24, outer->second, 16);
	return bpf_skb_store_bytes(skb, ETHERNET, header, sizeof(header), 0);
}

/* It came by a VLAN, whose device sees it a moment later: by that one it has to go on, not by the
 * one below, on which there may be no way to the second host. */
static __always_inline int is_of_vlan(const struct __sk_buff *skb)
{
	return skb->vlan_present && skb->vlan_tci & VLAN_ID;
}

/* From our own address, by the device that it came by: the kernel finds the way from there. Once:
 * there is no second host named any more. */
static __always_inline int pass_on(struct __sk_buff *skb, const struct outer *outer)
{
	/* with half of it done it is nothing that anybody could take */
	if (outer->ipv6 ? readdress6(skb, outer) : readdress4(skb, outer))
		return GO_ON;
	return bpf_redirect_neigh(skb->ifindex, NULL, 0, 0);
}

SEC("tc")
int hs_decap(struct __sk_buff *skb)
{
	struct hs_decap_counts *counts;
	struct outer outer = {};
	struct inner inner = {};
	__u32 service;

	if (!may_be_packed(skb) || read_outer(skb, &outer) || read_inner(skb, &outer, &inner))
		return GO_ON;
	service = find_service(skb, &outer, &inner);
	if (!service || !is_local(skb, outer.source, outer.dest, outer.ipv6))
		return GO_ON;
	counts = bpf_map_lookup_elem(&hs_decap_counts, &service);
	if (!counts)
		return GO_ON;
	/* where no other host is named there is nothing to be looked for */
	if (outer.has_second && !is_same(outer.second, outer.dest) && is_stranger(skb, &inner) &&
	    is_peer(service, outer.second, HS_DECAP_TO)) {
		if (is_of_vlan(skb))
			return GO_ON;
		hs_count(counts->passed_on);
		return pass_on(skb, &outer);
	}
	if (take_out(skb, &outer))
		return GO_ON;
	hs_count(counts->packets);
	__sync_fetch_and_add(&counts->bytes, skb->len - ETHERNET);
	return GO_ON;
}

char _license[] SEC("license") = "GPL";
