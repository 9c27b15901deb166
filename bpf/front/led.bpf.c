// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Led connections (hs_led.h) on the devices that lead to hosts: on its way out a packet gets the
 * address that clients ask for, and its outer header; on its way in the host's again.
 *
 * Before anything else of this machine sees what comes in, and behind all that sends: so in tc, and
 * not beside the front's own program, which passes these packets. There checksums that the device
 * is to make, and packets that it is to cut, are taken care of by the kernel.
 *
 * What cannot be led is held back, as on its own address the host would answer, too. Only led
 * connections are concerned; all else is left alone.
 */
#include "hs_led_sockets.h"
#include "hs_packet.h"
#include "hs_tc.h"

#define GO_ON	  (-1) /* TC_ACT_UNSPEC: the next one decides */
#define HOLD_BACK 2    /* TC_ACT_SHOT */

#define ETHERNET       14
#define IPV4_HEADER    20
#define IPV6_HEADER    40
#define IPV4_SOURCE    12
#define IPV4_DEST      16
#define IPV4_SUM       10
#define IPV6_SOURCE    8
#define IPV6_DEST      24
#define FRAGMENT       0x3fff /* an offset, or more to come */
#define TTL	       64
#define ICMP_HEADER    8
#define ICMP_SUM       2
#define DONT_CUT       0x4000
#define IPPROTO_ICMP   1
#define IPPROTO_ICMPV6 58
#define IPPROTO_IPIP   4
#define IPPROTO_IPV6   41
#define TCP_SUM	       16
#define UDP_SUM	       6

int hs_led_egress(struct __sk_buff *skb);
int hs_led_ingress(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HS_LED_FLOWS_MAX);
	__type(key, struct hs_led_key);
	__type(value, struct hs_led_flow);
} hs_led_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hs_led_state);
} hs_led_state SEC(".maps");

/* Which build of the programs is pinned. Writer: who pins them, last. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} hs_led_build SEC(".maps");

/* For user space alone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_LED_OWNERS_MAX);
	__type(key, struct hs_preview_owner_id);
	__type(value, __u8);
} hs_led_owners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HS_TC_DEVICES_MAX);
	__type(key, __u32);
	__type(value, struct hs_tc_device);
} hs_led_devices SEC(".maps");

/* A packet, as far as it was read. */
struct packet {
	struct hs_led_key key;
	__u32 network;	 /* where its header is; */
	__u32 transport; /* likewise */
	__u8 ipv6;
	__u8 fragment; /* no ports */
};

static __always_inline int is_on(void)
{
	struct hs_led_state *state = bpf_map_lookup_elem(&hs_led_state, &(__u32) {0});

	return state && state->on;
}

static __always_inline int is_same(const __u8 a[16], const __u8 b[16])
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

/* ---- reading ---- */

static __always_inline int read_ipv6(struct __sk_buff *skb, struct packet *packet)
{
	struct hs_led_key *key = &packet->key;
	__u8 ends[32];

	/* what this machine sends has no header between; but for fragments: a header of their own
	 */
	if (bpf_skb_load_bytes(skb, packet->network + 6, &key->protocol, 1) ||
	    bpf_skb_load_bytes(skb, packet->network + IPV6_SOURCE, ends, sizeof(ends)))
		return -1;
	__builtin_memcpy(key->incoming ? key->peer : key->own, ends, 16);
	__builtin_memcpy(key->incoming ? key->own : key->peer, ends + 16, 16);
	packet->ipv6 = 1;
	packet->fragment = key->protocol == 44;
	packet->transport = packet->network + IPV6_HEADER;
	return 0;
}

static __always_inline int read_ipv4(struct __sk_buff *skb, struct packet *packet)
{
	struct hs_led_key *key = &packet->key;
	__u8 first;
	__be16 cut;
	__be32 ends[2];

	if (bpf_skb_load_bytes(skb, packet->network, &first, 1) ||
	    bpf_skb_load_bytes(skb, packet->network + 6, &cut, 2) ||
	    bpf_skb_load_bytes(skb, packet->network + 9, &key->protocol, 1) ||
	    bpf_skb_load_bytes(skb, packet->network + IPV4_SOURCE, ends, sizeof(ends)))
		return -1;
	hs_map_ipv4(key->incoming ? key->peer : key->own, ends[0]);
	hs_map_ipv4(key->incoming ? key->own : key->peer, ends[1]);
	packet->fragment = (cut & bpf_htons(FRAGMENT)) != 0;
	packet->transport = packet->network + (first & 0xf) * 4;
	return 0;
}

/*
 * Where the network header is, for who is handed a packet that came in: behind the Ethernet header,
 * or, where XDP in generic mode has copied the packet before, at the front. The kernel moves to the
 * former by skb->mac_len, which such a copy does not get (skb_pp_cow_data(), Linux 6.9 to 6.18).
 */
static __always_inline __u32 find_network(struct __sk_buff *skb)
{
	__u32 front[3], ethernet[3];

	if (bpf_skb_load_bytes(skb, 0, front, sizeof(front)) ||
	    bpf_skb_load_bytes_relative(skb, 0, ethernet, sizeof(ethernet), BPF_HDR_START_MAC))
		return ETHERNET;
	return front[0] == ethernet[0] && front[1] == ethernet[1] && front[2] == ethernet[2]
		       ? ETHERNET
		       : 0;
}

/* -1: not TCP or UDP over Ethernet. */
static __always_inline int read_packet(struct __sk_buff *skb, struct packet *packet)
{
	struct hs_led_key *key = &packet->key;
	__be16 ports[2];
	int r = -1;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		r = read_ipv4(skb, packet);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		r = read_ipv6(skb, packet);
	if (r || packet->fragment)
		return r;
	if ((key->protocol != IPPROTO_TCP && key->protocol != IPPROTO_UDP) ||
	    bpf_skb_load_bytes(skb, packet->transport, ports, sizeof(ports)))
		return -1;
	key->own_port = ports[!!key->incoming];
	key->peer_port = ports[!key->incoming];
	return 0;
}

/* ---- writing ---- */

static __always_inline __u32 sum_offset(const struct packet *packet)
{
	return packet->transport + (packet->key.protocol == IPPROTO_TCP ? TCP_SUM : UDP_SUM);
}

/* A datagram's sum may not be 0, and stays so if it is not there. */
static __always_inline __u64 sum_flags(const struct packet *packet)
{
	return packet->key.protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
}

static __always_inline int write_ipv4(struct __sk_buff *skb, const struct packet *packet,
				      const __u8 from[16], const __u8 to[16])
{
	__u32 at = packet->network + (packet->key.incoming ? IPV4_SOURCE : IPV4_DEST);
	__be32 before = ((const __be32 *)from)[3], after = ((const __be32 *)to)[3];

	if (bpf_l4_csum_replace(skb, sum_offset(packet), before, after,
				sum_flags(packet) | BPF_F_PSEUDO_HDR | 4) ||
	    bpf_l3_csum_replace(skb, packet->network + IPV4_SUM, before, after, 4) ||
	    bpf_skb_store_bytes(skb, at, &after, 4, 0))
		return -1;
	return 0;
}

/* No sum of its own, so address and transport header cancel each other out in a sum of the whole
 * packet that a device has made: on the way in that is not to be touched. On the way out the device
 * may have yet to make it. */
static __always_inline int write_ipv6(struct __sk_buff *skb, const struct packet *packet,
				      const __u8 from[16], const __u8 to[16])
{
	__u32 at = packet->network + (packet->key.incoming ? IPV6_SOURCE : IPV6_DEST);
	__u64 flags = sum_flags(packet) | (packet->key.incoming ? 0 : BPF_F_PSEUDO_HDR);
	__s64 change = bpf_csum_diff((__be32 *)from, 16, (__be32 *)to, 16, 0);

	if (change < 0 || bpf_l4_csum_replace(skb, sum_offset(packet), 0, change, flags) ||
	    bpf_skb_store_bytes(skb, at, to, 16, 0))
		return -1;
	return 0;
}

static __always_inline int write_address(struct __sk_buff *skb, const struct packet *packet,
					 const __u8 from[16], const __u8 to[16])
{
	if (is_same(from, to))
		return 0;
	return packet->ipv6 ? write_ipv6(skb, packet, from, to) : write_ipv4(skb, packet, from, to);
}

static __always_inline __u16 sum_of_header(const __u8 *header)
{
	__s64 sum = bpf_csum_diff(NULL, 0, (__be32 *)header, IPV4_HEADER, 0);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline int add_ipv4(struct __sk_buff *skb, const struct hs_led_path *path)
{
	__u8 header[IPV4_HEADER] = {0x45};
	__be16 *words = (__be16 *)header;
	__be32 *ends = (__be32 *)(header + IPV4_SOURCE);

	if (bpf_skb_adjust_room(skb, IPV4_HEADER, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_FIXED_GSO))
		return -1;
	words[1] = bpf_htons(skb->len - ETHERNET);
	words[3] = bpf_htons(DONT_CUT);
	header[8] = TTL;
	header[9] = IPPROTO_IPIP;
	ends[0] = ((const __be32 *)path->outer)[3];
	ends[1] = ((const __be32 *)path->host)[3];
	words[5] = sum_of_header(header);
	return bpf_skb_store_bytes(skb, ETHERNET, header, sizeof(header), 0);
}

static __always_inline int add_ipv6(struct __sk_buff *skb, const struct hs_led_path *path)
{
	__u8 header[IPV6_HEADER] = {0x60};

	if (bpf_skb_adjust_room(skb, IPV6_HEADER, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | BPF_F_ADJ_ROOM_FIXED_GSO))
		return -1;
	((__be16 *)header)[2] = bpf_htons(skb->len - ETHERNET - IPV6_HEADER);
	header[6] = IPPROTO_IPV6;
	header[7] = TTL;
	__builtin_memcpy(header + IPV6_SOURCE, path->outer, 16);
	__builtin_memcpy(header + IPV6_DEST, path->host, 16);
	return bpf_skb_store_bytes(skb, ETHERNET, header, sizeof(header), 0);
}

/* What is too large is cut by the device, if that was its sender's wish; else it fits. */
static __always_inline int encapsulate(struct __sk_buff *skb, const struct packet *packet,
				       const struct hs_led_path *path)
{
	int more = packet->ipv6 ? IPV6_HEADER : IPV4_HEADER;
	__u32 mtu = 0;

	if (!skb->gso_segs && bpf_check_mtu(skb, 0, &mtu, more, 0))
		return -1;
	return packet->ipv6 ? add_ipv6(skb, path) : add_ipv4(skb, path);
}

/* ---- flows ---- */

/* -1: one of our address and port goes to another host by the same address, and is not over. */
static __always_inline int note_incoming(const struct packet *packet,
					 const struct hs_led_flow *flow, const __u8 peer[16])
{
	struct hs_led_key key = packet->key;
	struct hs_led_flow *other;

	key.incoming = 1;
	__builtin_memcpy(key.peer, peer, 16);
	other = bpf_map_lookup_elem(&hs_led_flows, &key);
	if (other && other->cookie != flow->cookie && !is_same(other->path.host, flow->path.host) &&
	    bpf_map_lookup_elem(&hs_led_sockets, &other->cookie))
		return -1;
	return bpf_map_update_elem(&hs_led_flows, &key, flow, BPF_ANY) ? -1 : 0;
}

/* In nat the front's own program may have put the service's address back before us. */
static __always_inline int note_flow(const struct packet *packet, __u64 cookie,
				     const struct hs_led_socket *socket)
{
	struct hs_led_flow flow = {.cookie = cookie, .path = socket->path};

	if (note_incoming(packet, &flow, flow.path.asked))
		return -1;
	if (!is_same(flow.path.carried, flow.path.asked) &&
	    note_incoming(packet, &flow, flow.path.carried))
		return -1;
	return bpf_map_update_elem(&hs_led_flows, &packet->key, &flow, BPF_ANY) ? -1 : 0;
}

/* Whether this packet goes where the socket was led; one of datagrams may send elsewhere, too. */
static __always_inline int is_for_host(const struct packet *packet,
				       const struct hs_led_socket *socket)
{
	return is_same(packet->key.peer, socket->path.host) &&
	       (packet->fragment || (packet->key.peer_port == socket->path.port &&
				     packet->key.protocol == socket->path.protocol));
}

static __always_inline int is_known(const struct hs_led_flow *flow, __u64 cookie,
				    const struct hs_led_socket *socket)
{
	return flow && flow->cookie == cookie && is_same(flow->path.asked, socket->path.asked);
}

static __always_inline int lead(struct __sk_buff *skb, const struct packet *packet,
				const struct hs_led_path *path)
{
	if (packet->fragment || write_address(skb, packet, path->host, path->carried))
		return -1;
	return path->encapsulate ? encapsulate(skb, packet, path) : 0;
}

static __always_inline int lead_socket(struct __sk_buff *skb, const struct packet *packet,
				       __u64 cookie, struct hs_led_socket *socket)
{
	struct hs_led_flow *flow = bpf_map_lookup_elem(&hs_led_flows, &packet->key);

	if ((!packet->fragment && !is_known(flow, cookie, socket) &&
	     note_flow(packet, cookie, socket)) ||
	    lead(skb, packet, &socket->path)) {
		hs_count(socket->held);
		return HOLD_BACK;
	}
	hs_count(socket->led);
	return GO_ON;
}

SEC("tc")
int hs_led_egress(struct __sk_buff *skb)
{
	struct hs_led_socket *socket;
	struct packet packet = {.network = ETHERNET};
	struct hs_led_flow *flow;
	__u64 cookie;

	if (!is_on() || read_packet(skb, &packet))
		return GO_ON;
	cookie = bpf_get_socket_cookie(skb);
	socket = cookie ? bpf_map_lookup_elem(&hs_led_sockets, &cookie) : NULL;
	if (socket && is_for_host(&packet, socket))
		return lead_socket(skb, &packet, cookie, socket);
	/* closed by its owner, or the kernel answers without it */
	flow = bpf_map_lookup_elem(&hs_led_flows, &packet.key);
	if (flow && lead(skb, &packet, &flow->path))
		return HOLD_BACK;
	return GO_ON;
}

/* ---- errors ---- */

/* One that quotes a packet of TCP or UDP, `about`. 0, or -1. */
static __always_inline int read_error(struct __sk_buff *skb, const struct packet *packet,
				      struct packet *about)
{
	__u8 type, wanted = packet->ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;

	if (!packet->transport || packet->fragment || packet->key.protocol != wanted ||
	    bpf_skb_load_bytes(skb, packet->transport, &type, 1))
		return -1;
	if (packet->ipv6 ? !type || type > 4 : type != 3 && type != 11 && type != 12)
		return -1;
	about->network = packet->transport + ICMP_HEADER;
	return read_packet(skb, about) || about->fragment ? -1 : 0;
}

/* An address within an error's packet: of IPv4 the sum of the very header makes up for it. */
static __always_inline int write_in_error(struct __sk_buff *skb, const struct packet *error,
					  const struct packet *in, __u32 at, const __u8 from[16],
					  const __u8 to[16])
{
	__be32 before = ((const __be32 *)from)[3], after = ((const __be32 *)to)[3];
	__s64 change;

	if (!error->ipv6)
		return bpf_l3_csum_replace(skb, in->network + IPV4_SUM, before, after, 4) ||
				       bpf_skb_store_bytes(skb, in->network + at, &after, 4, 0)
			       ? -1
			       : 0;
	change = bpf_csum_diff((__be32 *)from, 16, (__be32 *)to, 16, 0);
	if (change < 0 || bpf_l4_csum_replace(skb, error->transport + ICMP_SUM, 0, change, 0) ||
	    bpf_skb_store_bytes(skb, in->network + at, to, 16, 0))
		return -1;
	return 0;
}

/* What is said of a packet of ours is about the host's address, as its socket knows it; and it is
 * not from an address that may be this machine's own. */
static __always_inline void lead_error_back(struct __sk_buff *skb, const struct packet *error)
{
	struct packet about = {};
	struct hs_led_flow *flow;
	int r = 0;

	if (read_error(skb, error, &about))
		return;
	about.key.incoming = 1;
	flow = bpf_map_lookup_elem(&hs_led_flows, &about.key);
	if (!flow || is_same(about.key.peer, flow->path.host))
		return;
	if (is_same(error->key.peer, about.key.peer))
		r = write_in_error(skb, error, error, error->ipv6 ? IPV6_SOURCE : IPV4_SOURCE,
				   error->key.peer, flow->path.host);
	if (!r)
		write_in_error(skb, error, &about, error->ipv6 ? IPV6_DEST : IPV4_DEST,
			       about.key.peer, flow->path.host);
}

SEC("tc")
int hs_led_ingress(struct __sk_buff *skb)
{
	struct packet packet = {.key.incoming = 1};
	struct hs_led_socket *socket;
	struct hs_led_flow *flow;

	if (!is_on())
		return GO_ON;
	packet.network = find_network(skb);
	if (read_packet(skb, &packet)) {
		lead_error_back(skb, &packet);
		return GO_ON;
	}
	flow = packet.fragment ? NULL : bpf_map_lookup_elem(&hs_led_flows, &packet.key);
	if (!flow)
		return GO_ON;
	socket = bpf_map_lookup_elem(&hs_led_sockets, &flow->cookie);
	if (socket)
		hs_count(socket->answered);
	write_address(skb, &packet, packet.key.peer, flow->path.host);
	return GO_ON;
}

char _license[] SEC("license") = "GPL";
