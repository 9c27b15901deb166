/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a front does to packets: reading them, which host, and changing them. Pure functions of
 * their arguments, compiled into the front's programs by clang, and into tests and fuzzer by gcc.
 *
 * A packet is whatever somebody sends: each byte that is looked at is asked for by hs_at(), and
 * what a header says of lengths is believed only where the packet is that long.
 */
#pragma once

#include "hs_decide.h"
#include "hs_front.h"

#define HS_ETHERNET	14
#define HS_VLAN_TAG	4
#define HS_VLAN_TAGS	2
#define HS_IPV4		20
#define HS_IPV6		40
#define HS_TCP_HEADER	20
#define HS_UDP_HEADER	8
#define HS_ICMP_HEADER	8
#define HS_IPV6_HEADERS 6 /* before the transport header, at most */

#define HS_PROTO_HOP	  0
#define HS_PROTO_ICMP	  1
#define HS_PROTO_IPIP	  4
#define HS_PROTO_TCP	  6
#define HS_PROTO_UDP	  17
#define HS_PROTO_IPV6	  41
#define HS_PROTO_ROUTING  43
#define HS_PROTO_FRAGMENT 44
#define HS_PROTO_ICMPV6	  58
#define HS_PROTO_NONE	  59
#define HS_PROTO_OPTIONS  60

#define HS_TCP_FIN 0x01
#define HS_TCP_SYN 0x02
#define HS_TCP_RST 0x04
#define HS_TCP_ACK 0x10

#define HS_OUTER_TTL 64

/* No header of interest begins beyond this: bounds for the verifier. */
#define HS_OFFSET_MAX 1023

/* A frame: what can be read of it, and how long it is in all (it may go on elsewhere). */
struct hs_frame {
	__u8 *data, *end;
	__u32 length;
};

enum hs_parsed {
	HS_PARSED = 0,
	HS_OTHER = 1,	  /* nothing that a front is for */
	HS_MALFORMED = 2, /* headers that are short or lie */
};

enum hs_packet_mark {
	HS_PACKET_FIRST = 1 << 0, /* the first fragment of several */
	HS_PACKET_LATER = 1 << 1, /* a later one: the ports are not in it */
	HS_PACKET_ERROR = 1 << 2, /* an ICMP error about a packet that went the other way */
	HS_PACKET_WHOLE = 1 << 3, /* IPv4 that must not be fragmented; IPv6 always */
};

/*
 * What is in a packet. Of an ICMP error addresses, ports and protocol are those of the packet that
 * it is about, with its ends exchanged: as an answer to that would have them.
 */
struct hs_packet {
	__u8 source[16] __attribute__((aligned(8)));
	__u8 dest[16];
	__u16 source_port, dest_port; /* network byte order */
	__u32 id;		      /* of a fragment, network byte order */
	__u16 l3, l4;		      /* where the headers begin */
	__u16 size;		      /* of the IP packet, without what Ethernet fills it up by */
	__u16 vlan;		      /* of the outer tag; 0 = none */
	__u16 inner_l3;		      /* of an ICMP error: the packet that it is about */
	__u8 family;		      /* 4 or 6 */
	__u8 protocol;
	__u8 flags; /* of TCP */
	__u8 marks; /* enum hs_packet_mark */
	__u8 traffic_class;
	__u8 pad;
};

HS_PURE __u16 hs_be16(__u16 value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap16(value);
#else
	return value;
#endif
}

HS_PURE __u32 hs_be32(__u32 value)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap32(value);
#else
	return value;
#endif
}

/* `size` bytes at `offset`, NULL when they are not all there. */
HS_PURE __u8 *hs_at(const struct hs_frame *frame, __u32 offset, __u32 size)
{
	__u8 *at;

	if (offset > HS_OFFSET_MAX)
		return NULL;
#ifdef __bpf__
	/* clang else proves bounds by other registers than those that the verifier follows */
	__asm__ volatile("" : "+r"(offset));
	offset &= HS_OFFSET_MAX;
#endif
	at = frame->data + offset;
	return at + size <= frame->end ? at : NULL;
}

/* What lies anywhere. Without telling clang that it is aligned as it should be it would make single
 * bytes of each. */
#ifdef __bpf__
typedef __u16 __attribute__((may_alias)) hs_any16;
typedef __u32 __attribute__((may_alias)) hs_any32;
#else
typedef __u16 __attribute__((may_alias, aligned(1))) hs_any16;
typedef __u32 __attribute__((may_alias, aligned(1))) hs_any32;
#endif

HS_PURE __u16 hs_get16(const __u8 *at)
{
	return *(const hs_any16 *)at;
}

HS_PURE __u32 hs_get32(const __u8 *at)
{
	return *(const hs_any32 *)at;
}

HS_PURE void hs_put16(__u8 *at, __u16 value)
{
	*(hs_any16 *)at = value;
}

HS_PURE void hs_put32(__u8 *at, __u32 value)
{
	*(hs_any32 *)at = value;
}

/* ---- addresses ---- */

HS_PURE void hs_set_ipv4(__u8 ip[16], __u32 address)
{
	hs_put32(ip, 0);
	hs_put32(ip + 4, 0);
	hs_put32(ip + 8, hs_be32(0xffff));
	hs_put32(ip + 12, address);
}

HS_PURE int hs_is_ipv4(const __u8 ip[16])
{
	return !(hs_get32(ip) | hs_get32(ip + 4) | (hs_get32(ip + 8) ^ hs_be32(0xffff)));
}

HS_PURE int hs_same_ip(const __u8 a[16], const __u8 b[16])
{
	return !((hs_get32(a) ^ hs_get32(b)) | (hs_get32(a + 4) ^ hs_get32(b + 4)) |
		 (hs_get32(a + 8) ^ hs_get32(b + 8)) | (hs_get32(a + 12) ^ hs_get32(b + 12)));
}

HS_PURE void hs_copy_ip(__u8 to[16], const __u8 from[16])
{
	hs_put32(to, hs_get32(from));
	hs_put32(to + 4, hs_get32(from + 4));
	hs_put32(to + 8, hs_get32(from + 8));
	hs_put32(to + 12, hs_get32(from + 12));
}

/* ---- checksums (RFC 1071, RFC 1624): sums of 16-bit words as they lie in memory ---- */

HS_PURE __u16 hs_fold(__u64 sum)
{
	sum = (sum & 0xffffffffU) + (sum >> 32);
	sum = (sum & 0xffffffffU) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/* What has to be added to a checksum's complement when `from` becomes `to`. */
HS_PURE __u64 hs_difference(const __u8 from[16], const __u8 to[16])
{
	__u64 sum = 0;

#ifdef __bpf__
#pragma unroll
#endif
	for (int i = 0; i < 16; i += 4)
		sum += (__u64)(__u32)~hs_get32(from + i) + hs_get32(to + i);
	return sum;
}

HS_PURE __u64 hs_difference16(__u16 from, __u16 to)
{
	return (__u64)(__u16)~from + to;
}

HS_PURE __u16 hs_changed(__u16 checksum, __u64 difference)
{
	return (__u16)~hs_fold((__u64)(__u16)~checksum + difference);
}

/* ---- reading ---- */

/* Ports, and flags of TCP. `end`: of the IP packet; of one that an ICMP error quotes, of the frame,
 * and 8 bytes of its transport header are enough. */
HS_PURE int hs_parse_ports(const struct hs_frame *frame, struct hs_packet *packet, __u32 l4,
			   __u32 end, int quoted)
{
	const __u8 *at;

	if (packet->protocol != HS_PROTO_TCP && packet->protocol != HS_PROTO_UDP)
		return HS_OTHER;
	at = hs_at(frame, l4, 8);
	if (!at || l4 + 8 > end)
		return HS_MALFORMED;
	packet->source_port = hs_get16(at);
	packet->dest_port = hs_get16(at + 2);
	if (quoted)
		return HS_PARSED;
	if (packet->protocol == HS_PROTO_UDP) {
		__u32 size = hs_be16(hs_get16(at + 4));

		return size < HS_UDP_HEADER ||
				       (size > end - l4 && !(packet->marks & HS_PACKET_FIRST))
			       ? HS_MALFORMED
			       : HS_PARSED;
	}
	at = hs_at(frame, l4, HS_TCP_HEADER);
	if (!at || (at[12] >> 4) * 4U < HS_TCP_HEADER || l4 + (at[12] >> 4) * 4U > end)
		return HS_MALFORMED;
	packet->flags = at[13];
	return HS_PARSED;
}

/* What an IPv4 header says. `quoted`: of one in an ICMP error, most of which is missing. The
 * transport header's place is left in `ret_l4`, the packet's end in `ret_end`. */
HS_PURE int hs_parse_ipv4(const struct hs_frame *frame, struct hs_packet *packet, __u32 l3,
			  int quoted, __u32 *ret_l4, __u32 *ret_end)
{
	const __u8 *ip = hs_at(frame, l3, HS_IPV4);
	__u32 size, total;
	__u16 fragment;

	if (!ip)
		return HS_MALFORMED;
	size = (ip[0] & 0xf) * 4;
	total = hs_be16(hs_get16(ip + 2));
	if (ip[0] >> 4 != 4 || size < HS_IPV4 || total < size ||
	    (!quoted && l3 + total > frame->length))
		return HS_MALFORMED;
	fragment = hs_be16(hs_get16(ip + 6));
	if (fragment & 0x1fff)
		packet->marks |= HS_PACKET_LATER;
	else if (fragment & 0x2000)
		packet->marks |= HS_PACKET_FIRST;
	if (fragment & 0x4000)
		packet->marks |= HS_PACKET_WHOLE;
	packet->protocol = ip[9];
	packet->id = hs_get16(ip + 4);
	packet->traffic_class = ip[1];
	packet->size = (__u16)total;
	hs_set_ipv4(packet->source, hs_get32(ip + 12));
	hs_set_ipv4(packet->dest, hs_get32(ip + 16));
	*ret_l4 = l3 + size;
	*ret_end = quoted ? frame->length : l3 + total;
	return HS_PARSED;
}

/* One header between that of IPv6 and the transport's. HS_OTHER: it is none. */
HS_PURE int hs_parse_extension(const struct hs_frame *frame, struct hs_packet *packet, __u32 *l4)
{
	const __u8 *at;
	__u16 fragment;

	if (packet->protocol != HS_PROTO_HOP && packet->protocol != HS_PROTO_ROUTING &&
	    packet->protocol != HS_PROTO_FRAGMENT && packet->protocol != HS_PROTO_OPTIONS)
		return HS_OTHER;
	at = hs_at(frame, *l4, 8);
	if (!at)
		return HS_MALFORMED;
	/* a routing header that is not used up: it is for another machine in the end */
	if (packet->protocol == HS_PROTO_ROUTING && at[3]) {
		packet->protocol = HS_PROTO_NONE;
		return HS_PARSED;
	}
	if (packet->protocol != HS_PROTO_FRAGMENT) {
		*l4 += 8 + at[1] * 8U;
	} else {
		fragment = hs_be16(hs_get16(at + 2));
		packet->id = hs_get32(at + 4);
		if (fragment & 0xfff8)
			packet->marks |= HS_PACKET_LATER;
		else if (fragment & 1)
			packet->marks |= HS_PACKET_FIRST;
		*l4 += 8;
	}
	packet->protocol = at[0];
	return HS_PARSED;
}

/* As hs_parse_ipv4(). */
HS_PURE int hs_parse_ipv6(const struct hs_frame *frame, struct hs_packet *packet, __u32 l3,
			  int quoted, __u32 *ret_l4, __u32 *ret_end)
{
	const __u8 *ip = hs_at(frame, l3, HS_IPV6);
	__u32 total, l4 = l3 + HS_IPV6;
	int r = HS_PARSED;

	if (!ip)
		return HS_MALFORMED;
	total = HS_IPV6 + hs_be16(hs_get16(ip + 4));
	if (ip[0] >> 4 != 6 || total == HS_IPV6 || total > 0xffff ||
	    (!quoted && l3 + total > frame->length))
		return HS_MALFORMED;
	packet->protocol = ip[6];
	packet->traffic_class = (__u8)(ip[0] << 4 | ip[1] >> 4);
	packet->marks |= HS_PACKET_WHOLE;
	packet->size = (__u16)total;
	hs_copy_ip(packet->source, ip + 8);
	hs_copy_ip(packet->dest, ip + 24);
	for (int i = 0; i < HS_IPV6_HEADERS && r == HS_PARSED; i++)
		if (packet->marks & HS_PACKET_LATER)
			break;
		else
			r = hs_parse_extension(frame, packet, &l4);
	*ret_l4 = l4;
	*ret_end = quoted ? frame->length : l3 + total;
	if (r == HS_MALFORMED || l4 > *ret_end)
		return HS_MALFORMED;
	return HS_PARSED;
}

HS_PURE int hs_parse_ip(const struct hs_frame *frame, struct hs_packet *packet, __u32 l3,
			int quoted, __u32 *ret_l4, __u32 *ret_end)
{
	return packet->family == 4 ? hs_parse_ipv4(frame, packet, l3, quoted, ret_l4, ret_end)
				   : hs_parse_ipv6(frame, packet, l3, quoted, ret_l4, ret_end);
}

/* Errors, not what asks and answers. */
HS_PURE int hs_is_icmp_error(__u8 family, __u8 type)
{
	return family == 4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

HS_PURE void hs_exchange_ends(struct hs_packet *packet)
{
	__u8 ip[16];
	__u16 port = packet->source_port;

	hs_copy_ip(ip, packet->source);
	hs_copy_ip(packet->source, packet->dest);
	hs_copy_ip(packet->dest, ip);
	packet->source_port = packet->dest_port;
	packet->dest_port = port;
}

/* An ICMP error: the packet that it is about, seen from its other end. Size, class and marks stay
 * those of the error itself. */
HS_PURE int hs_parse_error(const struct hs_frame *frame, struct hs_packet *packet, __u32 l4,
			   __u32 end)
{
	const __u8 *icmp = hs_at(frame, l4, HS_ICMP_HEADER);
	struct hs_packet inner = {.family = packet->family};
	__u32 inner_l4, inner_end;
	int r;

	if (!icmp || l4 + HS_ICMP_HEADER > end)
		return HS_MALFORMED;
	if (!hs_is_icmp_error(packet->family, icmp[0]) ||
	    packet->marks & (HS_PACKET_FIRST | HS_PACKET_LATER))
		return HS_OTHER;
	r = hs_parse_ip(frame, &inner, l4 + HS_ICMP_HEADER, 1, &inner_l4, &inner_end);
	/* who has sent the one is told of it: what is for another machine is not sent on to a host,
	 * which would send it back */
	if (r == HS_PARSED &&
	    (inner.marks & HS_PACKET_LATER || !hs_same_ip(inner.source, packet->dest)))
		return HS_OTHER;
	if (r == HS_PARSED)
		r = hs_parse_ports(frame, &inner, inner_l4, end, 1);
	if (r != HS_PARSED)
		return r;
	packet->marks |= HS_PACKET_ERROR;
	packet->inner_l3 = (__u16)(l4 + HS_ICMP_HEADER);
	packet->protocol = inner.protocol;
	packet->source_port = inner.source_port;
	packet->dest_port = inner.dest_port;
	hs_copy_ip(packet->source, inner.source);
	hs_copy_ip(packet->dest, inner.dest);
	hs_exchange_ends(packet);
	return HS_PARSED;
}

/* From the IP header on, whose family is in `packet`: enum hs_parsed. */
HS_PURE int hs_parse_from(const struct hs_frame *frame, struct hs_packet *packet, __u32 l3)
{
	__u32 l4, end;
	int r = hs_parse_ip(frame, packet, l3, 0, &l4, &end);

	if (r != HS_PARSED)
		return r;
	packet->l3 = (__u16)l3;
	packet->l4 = (__u16)l4;
	if (packet->protocol == (packet->family == 4 ? HS_PROTO_ICMP : HS_PROTO_ICMPV6))
		return hs_parse_error(frame, packet, l4, end);
	if (packet->marks & HS_PACKET_LATER)
		return packet->protocol == HS_PROTO_TCP || packet->protocol == HS_PROTO_UDP
			       ? HS_PARSED
			       : HS_OTHER;
	return hs_parse_ports(frame, packet, l4, end, 0);
}

/* An Ethernet frame: enum hs_parsed. `packet` is zero before. */
HS_PURE int hs_parse(const struct hs_frame *frame, struct hs_packet *packet)
{
	const __u8 *at = hs_at(frame, 0, HS_ETHERNET);
	__u32 l3 = HS_ETHERNET;
	__u16 type;

	if (!at)
		return HS_OTHER;
	type = hs_be16(hs_get16(at + 12));
#ifdef __bpf__
#pragma unroll
#endif
	for (int i = 0; i < HS_VLAN_TAGS; i++) {
		if (type != 0x8100 && type != 0x88a8)
			break;
		at = hs_at(frame, l3, HS_VLAN_TAG);
		if (!at)
			return HS_OTHER;
		if (!i)
			packet->vlan = hs_be16(hs_get16(at)) & 0xfff;
		type = hs_be16(hs_get16(at + 2));
		l3 += HS_VLAN_TAG;
	}
	if (type != 0x0800 && type != 0x86dd)
		return HS_OTHER;
	packet->family = type == 0x0800 ? 4 : 6;
	return hs_parse_from(frame, packet, l3);
}

/* ---- choosing ---- */

/* The hosts in `flags` of the table, as a bit mask. */
HS_PURE __u32 hs_hosts_with(const struct hs_front *front, __u32 flag)
{
	__u32 hosts = 0;

	for (__u32 i = 0; i < HS_SLOTS_MAX; i++)
		hosts |= (__u32) !!(front->hosts[i].flags & flag) << i;
	return hosts;
}

/* Which host a flow that begins gets: the wanted one, else the second, else the next in the ring
 * behind the wanted one that takes any. HS_SLOT_NONE when nobody does. */
HS_PURE __u32 hs_taking_host(__u32 taking, __u32 wanted, __u32 second)
{
	__u32 host;

	taking &= (1U << HS_SLOTS_MAX) - 1;
	if (wanted < HS_SLOTS_MAX && taking >> wanted & 1)
		return wanted;
	if (second < HS_SLOTS_MAX && taking >> second & 1)
		return second;
	if (!taking)
		return HS_SLOT_NONE;
	host = hs_bit_from(taking, wanted < HS_SLOTS_MAX ? (wanted + 1) % HS_SLOTS_MAX : 0);
	return host < HS_SLOTS_MAX ? host : HS_SLOT_NONE;
}

/* A hash of a flow, keyed; another front with the same key finds the same. */
HS_PURE __u32 hs_ends_hash(__u64 key, const struct hs_front_flow_key *flow)
{
	__u64 x = key ^ ((__u64)flow->client_port << 32 | (__u64)flow->port << 16 | flow->protocol);

#ifdef __bpf__
#pragma unroll
#endif
	for (int i = 0; i < 16; i += 8) {
		__u64 word;

		__builtin_memcpy(&word, flow->client + i, sizeof(word));
		x = (x ^ word) * 0xbf58476d1ce4e5b9ULL;
		x ^= x >> 29;
	}
	x *= 0x94d049bb133111ebULL;
	return (__u32)(x >> 32);
}

HS_PURE __u32 hs_front_tick(__u64 nsec)
{
	return (__u32)(nsec >> HS_FLOW_TICK_SHIFT);
}

/* Ticks since the flow was seen; one that another CPU has just seen is not old. */
HS_PURE __u32 hs_front_age(const struct hs_front_flow *flow, __u32 tick)
{
	__u32 age = tick - flow->seen;

	return age > 0xffffff00U ? 0 : age;
}

/* Whether its host still is who it was. */
HS_PURE int hs_flow_has_host(const struct hs_front *front, const struct hs_front_flow *flow)
{
	__u32 host = flow->host;

	if (host >= HS_SLOTS_MAX)
		return 0;
#ifdef __bpf__
	__asm__ volatile("" : "+r"(host));
	host &= HS_SLOTS_MAX - 1;
#endif
	return front->hosts[host].flags & HS_FRONT_CONFIGURED &&
	       front->hosts[host].epoch == flow->epoch;
}

/* Whether a SYN is another one of this flow's, which is still at its host. */
HS_PURE int hs_is_same_flow(const struct hs_front *front, const struct hs_front_flow *flow,
			    __u32 tick)
{
	if (flow->marks & HS_FRONT_CLOSING || hs_front_age(flow, tick) > HS_FRONT_AGAIN_TICKS)
		return 0;
	/* a host that does not take any more may be draining, or dead: if it had answered, no SYN
	 * would be sent for the third time */
	return flow->marks & HS_FRONT_ESTABLISHED || front->taking >> (flow->host & 0xf) & 1 ||
	       tick - hs_front_tick(flow->begun_ns) <= HS_FRONT_KEPT_TICKS;
}

/* Whether one that is young lasts, of which there is another packet. */
HS_PURE int hs_flow_lasts(const struct hs_front *front, const struct hs_front_flow *flow,
			  __u32 tick)
{
	__u32 age = tick - hs_front_tick(flow->begun_ns);

	return age >= HS_FRONT_LASTING_TICKS && age <= 0xffffff00U &&
	       !(flow->marks & HS_FRONT_CLOSING) &&
	       (front->mode != HS_FRONT_NAT || flow->marks & HS_FRONT_ANSWERED);
}

/* Which address of the service this is; HS_FRONT_ADDRESSES_MAX: none. */
HS_PURE __u32 hs_front_address(const struct hs_front *front, const __u8 ip[16])
{
	for (__u32 i = 0; i < HS_FRONT_ADDRESSES_MAX && i < front->n_addresses; i++)
		if (hs_same_ip(front->addresses[i], ip))
			return i;
	return HS_FRONT_ADDRESSES_MAX;
}

/* ---- changing ---- */

HS_PURE void hs_put_mac(__u8 *at, __u64 mac)
{
	hs_put16(at, (__u16)mac);
	hs_put16(at + 2, (__u16)(mac >> 16));
	hs_put16(at + 4, (__u16)(mac >> 32));
}

HS_PURE __u64 hs_get_mac(const __u8 *at)
{
	return (__u64)hs_get16(at) | (__u64)hs_get16(at + 2) << 16 | (__u64)hs_get16(at + 4) << 32;
}

/* 0, or -1: the frame is too short. */
HS_PURE int hs_set_macs(const struct hs_frame *frame, __u64 dest, __u64 source)
{
	__u8 *ethernet = hs_at(frame, 0, HS_ETHERNET);

	if (!ethernet)
		return -1;
	hs_put_mac(ethernet, dest);
	hs_put_mac(ethernet + 6, source);
	return 0;
}

/* What is put around a packet. */
struct hs_outer {
	__u8 source[16] __attribute__((aligned(8)));
	__u8 dest[16];
	__u8 second[16]; /* of the family of `dest`, if has_second */
	__u32 has_second;
	__u32 flow_label; /* of IPv6, 20 bits: the same for all packets of a flow */
};

/* Bytes that hs_write_outer() wants before the network header. */
HS_PURE __u32 hs_outer_size(const struct hs_outer *outer)
{
	if (hs_is_ipv4(outer->dest))
		return HS_IPV4 + (outer->has_second ? HS_SECOND_OPTION_SIZE : 0);
	return HS_IPV6 + (outer->has_second ? HS_SECOND_HEADER6 : 0);
}

HS_PURE __u16 hs_sum_ipv4(const __u8 *ip, __u32 size)
{
	__u64 sum = 0;

#ifdef __bpf__
#pragma unroll
#endif
	for (__u32 i = 0; i < HS_IPV4 + HS_SECOND_OPTION_SIZE; i += 2)
		if (i < size)
			sum += hs_get16(ip + i);
	return (__u16)~hs_fold(sum);
}

HS_PURE void hs_write_outer4(__u8 *ip, const struct hs_outer *outer, const struct hs_packet *packet,
			     __u32 size)
{
	ip[0] = (__u8)(0x40 | size / 4);
	ip[1] = packet->traffic_class;
	hs_put16(ip + 2, hs_be16((__u16)(packet->size + size)));
	hs_put16(ip + 4, 0);
	/* on the way it must not become fragments, which the host would have to put together */
	hs_put16(ip + 6, hs_be16(0x4000));
	ip[8] = HS_OUTER_TTL;
	ip[9] = packet->family == 4 ? HS_PROTO_IPIP : HS_PROTO_IPV6;
	hs_put16(ip + 10, 0);
	hs_put32(ip + 12, hs_get32(outer->source + 12));
	hs_put32(ip + 16, hs_get32(outer->dest + 12));
}

HS_PURE int hs_write_ipv4_around(const struct hs_frame *frame, const struct hs_outer *outer,
				 const struct hs_packet *packet)
{
	__u8 *ip;

	if (!outer->has_second) {
		ip = hs_at(frame, packet->l3, HS_IPV4);
		if (!ip)
			return -1;
		hs_write_outer4(ip, outer, packet, HS_IPV4);
		hs_put16(ip + 10, hs_sum_ipv4(ip, HS_IPV4));
		return 0;
	}
	ip = hs_at(frame, packet->l3, HS_IPV4 + HS_SECOND_OPTION_SIZE);
	if (!ip)
		return -1;
	hs_write_outer4(ip, outer, packet, HS_IPV4 + HS_SECOND_OPTION_SIZE);
	ip[20] = HS_SECOND_OPTION;
	ip[21] = HS_SECOND_OPTION_SIZE;
	hs_put16(ip + 22, 0);
	hs_put32(ip + 24, hs_get32(outer->second + 12));
	hs_put16(ip + 10, hs_sum_ipv4(ip, HS_IPV4 + HS_SECOND_OPTION_SIZE));
	return 0;
}

HS_PURE void hs_write_second6(__u8 *at, const struct hs_outer *outer, __u8 protocol)
{
	at[0] = protocol;
	at[1] = HS_SECOND_HEADER6 / 8 - 1;
	at[2] = HS_SECOND_OPTION6;
	at[3] = 16;
	hs_copy_ip(at + 4, outer->second);
	at[20] = 1; /* PadN of 4 bytes */
	at[21] = 2;
	hs_put16(at + 22, 0);
}

HS_PURE int hs_write_ipv6_around(const struct hs_frame *frame, const struct hs_outer *outer,
				 const struct hs_packet *packet)
{
	__u32 more = outer->has_second ? HS_SECOND_HEADER6 : 0;
	__u8 protocol = packet->family == 4 ? HS_PROTO_IPIP : HS_PROTO_IPV6;
	__u8 *ip = hs_at(frame, packet->l3, HS_IPV6), *second;

	if (!ip)
		return -1;
	ip[0] = (__u8)(0x60 | packet->traffic_class >> 4);
	ip[1] = (__u8)(packet->traffic_class << 4 | (outer->flow_label >> 16 & 0xf));
	hs_put16(ip + 2, hs_be16((__u16)outer->flow_label));
	hs_put16(ip + 4, hs_be16((__u16)(packet->size + more)));
	ip[6] = more ? HS_PROTO_OPTIONS : protocol;
	ip[7] = HS_OUTER_TTL;
	hs_copy_ip(ip + 8, outer->source);
	hs_copy_ip(ip + 24, outer->dest);
	if (!more)
		return 0;
	second = hs_at(frame, packet->l3 + HS_IPV6, HS_SECOND_HEADER6);
	if (!second)
		return -1;
	hs_write_second6(second, outer, protocol);
	return 0;
}

HS_PURE int hs_move_tag(const struct hs_frame *frame, __u32 at, __u32 room)
{
	__u8 *to = hs_at(frame, at, HS_VLAN_TAG);
	const __u8 *from = hs_at(frame, at + room, HS_VLAN_TAG);

	if (!to || !from)
		return -1;
	hs_put32(to, hs_get32(from));
	return 0;
}

/* The tags of a frame that has got `room` bytes at its front, and the type of what comes next. */
HS_PURE int hs_move_tags(const struct hs_frame *frame, __u32 l3, __u32 room, __u16 type)
{
	__u8 *to;

	if (l3 >= HS_ETHERNET + HS_VLAN_TAG && hs_move_tag(frame, HS_ETHERNET - 2, room))
		return -1;
	if (l3 >= HS_ETHERNET + 2 * HS_VLAN_TAG &&
	    hs_move_tag(frame, HS_ETHERNET - 2 + HS_VLAN_TAG, room))
		return -1;
	to = hs_at(frame, l3 - 2, 2);
	if (!to)
		return -1;
	hs_put16(to, hs_be16(type));
	return 0;
}

/*
 * Puts a header around the packet, in a frame that has got hs_outer_size() bytes at its front since
 * it was read: the tags come to the front, the MAC addresses are the caller's. 0, or -1.
 */
HS_PURE int hs_write_outer(const struct hs_frame *frame, const struct hs_outer *outer,
			   const struct hs_packet *packet)
{
	int ipv4 = hs_is_ipv4(outer->dest);

	if (hs_move_tags(frame, packet->l3, hs_outer_size(outer), ipv4 ? 0x0800 : 0x86dd))
		return -1;
	return ipv4 ? hs_write_ipv4_around(frame, outer, packet)
		    : hs_write_ipv6_around(frame, outer, packet);
}

/* ---- telling the client that a packet is too big ---- */

#define HS_QUOTE_MAX 128

/* How much of the packet is told; 0: nothing can be. */
HS_PURE __u32 hs_quote_size(const struct hs_packet *packet)
{
	__u32 size = packet->l4 - packet->l3 + 8U;

	return packet->marks & (HS_PACKET_LATER | HS_PACKET_ERROR) || size > HS_QUOTE_MAX ? 0
											  : size;
}

/* Bytes that hs_write_too_big() wants before the network header. */
HS_PURE __u32 hs_too_big_size(const struct hs_packet *packet)
{
	return (packet->family == 4 ? HS_IPV4 : HS_IPV6) + HS_ICMP_HEADER;
}

HS_PURE __u64 hs_sum_quote(const struct hs_frame *frame, __u32 from, __u32 size)
{
	__u64 sum = 0;

	for (__u32 i = 0; i < HS_QUOTE_MAX; i += 4) {
		const __u8 *at = i < size ? hs_at(frame, from + i, 4) : NULL;

		if (!at)
			break;
		sum += hs_get32(at);
	}
	return sum;
}

HS_PURE int hs_write_too_big4(const struct hs_frame *frame, const struct hs_packet *packet,
			      __u32 quote, __u32 mtu)
{
	__u8 *ip = hs_at(frame, packet->l3, HS_IPV4 + HS_ICMP_HEADER);
	__u64 sum = hs_sum_quote(frame, packet->l3 + HS_IPV4 + HS_ICMP_HEADER, quote);

	if (!ip)
		return -1;
	hs_put32(ip, 0);
	ip[0] = 0x45;
	hs_put16(ip + 2, hs_be16((__u16)(HS_IPV4 + HS_ICMP_HEADER + quote)));
	hs_put32(ip + 4, 0);
	ip[8] = HS_OUTER_TTL;
	ip[9] = HS_PROTO_ICMP;
	hs_put16(ip + 10, 0);
	hs_put32(ip + 12, hs_get32(packet->dest + 12));
	hs_put32(ip + 16, hs_get32(packet->source + 12));
	hs_put16(ip + 10, hs_sum_ipv4(ip, HS_IPV4));
	ip[20] = 3; /* unreachable: fragmentation needed */
	ip[21] = 4;
	hs_put32(ip + 22, 0);
	hs_put16(ip + 26, hs_be16((__u16)mtu));
	hs_put16(ip + 22, (__u16)~hs_fold(sum + hs_get32(ip + 20) + hs_get32(ip + 24)));
	return 0;
}

HS_PURE int hs_write_too_big6(const struct hs_frame *frame, const struct hs_packet *packet,
			      __u32 quote, __u32 mtu)
{
	__u8 *ip = hs_at(frame, packet->l3, HS_IPV6 + HS_ICMP_HEADER);
	__u64 sum = hs_sum_quote(frame, packet->l3 + HS_IPV6 + HS_ICMP_HEADER, quote);

	if (!ip)
		return -1;
	hs_put32(ip, 0);
	ip[0] = 0x60;
	hs_put16(ip + 4, hs_be16((__u16)(HS_ICMP_HEADER + quote)));
	ip[6] = HS_PROTO_ICMPV6;
	ip[7] = HS_OUTER_TTL;
	hs_copy_ip(ip + 8, packet->dest);
	hs_copy_ip(ip + 24, packet->source);
	ip[40] = 2; /* packet too big */
	ip[41] = 0;
	hs_put16(ip + 42, 0);
	hs_put16(ip + 44, 0);
	hs_put16(ip + 46, hs_be16((__u16)mtu));
	for (int i = 0; i < 16; i += 4)
		sum += (__u64)hs_get32(packet->dest + i) + hs_get32(packet->source + i);
	sum += (__u64)hs_be16((__u16)(HS_ICMP_HEADER + quote)) + hs_be16(HS_PROTO_ICMPV6);
	hs_put16(ip + 42, (__u16)~hs_fold(sum + hs_get32(ip + 40) + hs_get32(ip + 44)));
	return 0;
}

/*
 * Makes an answer of a frame that has got hs_too_big_size() bytes at its front since it was read:
 * the tags come to the front, the MAC addresses change places. It ends hs_quote_size() behind the
 * new headers; cutting it there is the caller's. `mtu`: what may come. 0, or -1.
 */
HS_PURE int hs_write_too_big(const struct hs_frame *frame, const struct hs_packet *packet,
			     __u32 mtu)
{
	__u32 room = hs_too_big_size(packet), quote = hs_quote_size(packet);
	const __u8 *old = hs_at(frame, room, HS_ETHERNET);
	__u64 source, dest;

	if (!old || !quote)
		return -1;
	dest = hs_get_mac(old);
	source = hs_get_mac(old + 6);
	if (hs_move_tags(frame, packet->l3, room, packet->family == 4 ? 0x0800 : 0x86dd) ||
	    hs_set_macs(frame, source, dest))
		return -1;
	return packet->family == 4 ? hs_write_too_big4(frame, packet, quote, mtu)
				   : hs_write_too_big6(frame, packet, quote, mtu);
}

/* ---- another address ---- */

/* Which end of a packet is another one from now on. */
enum hs_end {
	HS_END_SOURCE = 0,
	HS_END_DEST = 1,
};

HS_PURE __u32 hs_place4(enum hs_end end)
{
	return end == HS_END_DEST ? 16 : 12;
}

HS_PURE __u32 hs_place6(enum hs_end end)
{
	return end == HS_END_DEST ? 24 : 8;
}

HS_PURE enum hs_end hs_other_end(enum hs_end end)
{
	return end == HS_END_DEST ? HS_END_SOURCE : HS_END_DEST;
}

/* An address in an IPv4 header, and the header's checksum. */
HS_PURE void hs_set_address4(__u8 *ip, enum hs_end end, const __u8 from[16], const __u8 to[16])
{
	hs_put32(ip + hs_place4(end), hs_get32(to + 12));
	hs_put16(ip + 10, hs_changed(hs_get16(ip + 10), hs_difference(from, to)));
}

/* One router more. 0; -1: it has come too far. */
HS_PURE int hs_lower_ttl4(__u8 *ip)
{
	__u16 before = hs_get16(ip + 8);

	if (ip[8] <= 1)
		return -1;
	ip[8]--;
	hs_put16(ip + 10, hs_changed(hs_get16(ip + 10), hs_difference16(before, hs_get16(ip + 8))));
	return 0;
}

/* The checksum of a transport header. That of UDP may be missing. */
HS_PURE int hs_fix_transport(const struct hs_frame *frame, const struct hs_packet *packet,
			     __u64 difference)
{
	int udp = packet->protocol == HS_PROTO_UDP;
	__u8 *at = hs_at(frame, packet->l4 + (udp ? 6U : 16U), 2);
	__u16 checksum;

	if (packet->marks & HS_PACKET_LATER)
		return 0;
	if (!at)
		return -1;
	checksum = hs_get16(at);
	if (udp && !checksum)
		return 0;
	checksum = hs_changed(checksum, difference);
	hs_put16(at, udp && !checksum ? 0xffff : checksum);
	return 0;
}

/*
 * The packet that an ICMP error quotes has the other end of it. IPv4: what changes in the quoted
 * header is made up for by that header's checksum, so that of ICMP stays. The quoted transport
 * header's stays as it was: nobody can check it, as the rest is missing.
 *
 * An error that a router on the way has sent has the router's source, which stays.
 */
HS_PURE int hs_nat_error4(const struct hs_frame *frame, const struct hs_packet *packet,
			  enum hs_end end, const __u8 from[16], const __u8 to[16])
{
	__u8 *ip = hs_at(frame, packet->l3, HS_IPV4), *inner;

	if (!ip)
		return -1;
	if (hs_get32(ip + hs_place4(end)) == hs_get32(from + 12))
		hs_set_address4(ip, end, from, to);
	inner = hs_at(frame, packet->inner_l3, HS_IPV4);
	if (!inner)
		return -1;
	hs_set_address4(inner, hs_other_end(end), from, to);
	return 0;
}

HS_PURE int hs_nat_error6(const struct hs_frame *frame, const struct hs_packet *packet,
			  enum hs_end end, const __u8 from[16], const __u8 to[16])
{
	__u8 *ip = hs_at(frame, packet->l3, HS_IPV6), *at;
	__u64 difference = hs_difference(from, to);

	if (!ip)
		return -1;
	if (hs_same_ip(ip + hs_place6(end), from)) {
		hs_copy_ip(ip + hs_place6(end), to);
		difference *= 2;
	}
	at = hs_at(frame, packet->inner_l3, HS_IPV6);
	if (!at)
		return -1;
	hs_copy_ip(at + hs_place6(hs_other_end(end)), to);
	at = hs_at(frame, packet->l4 + 2U, 2);
	if (!at)
		return -1;
	hs_put16(at, hs_changed(hs_get16(at), difference));
	return 0;
}

HS_PURE int hs_nat4(const struct hs_frame *frame, const struct hs_packet *packet, enum hs_end end,
		    const __u8 from[16], const __u8 to[16])
{
	__u8 *ip = hs_at(frame, packet->l3, HS_IPV4);

	if (!ip || hs_lower_ttl4(ip))
		return -1;
	if (packet->marks & HS_PACKET_ERROR)
		return hs_nat_error4(frame, packet, end, from, to);
	hs_set_address4(ip, end, from, to);
	return hs_fix_transport(frame, packet, hs_difference(from, to));
}

HS_PURE int hs_nat6(const struct hs_frame *frame, const struct hs_packet *packet, enum hs_end end,
		    const __u8 from[16], const __u8 to[16])
{
	__u8 *ip = hs_at(frame, packet->l3, HS_IPV6);

	if (!ip || ip[7] <= 1)
		return -1;
	ip[7]--;
	if (packet->marks & HS_PACKET_ERROR)
		return hs_nat_error6(frame, packet, end, from, to);
	hs_copy_ip(ip + hs_place6(end), to);
	return hs_fix_transport(frame, packet, hs_difference(from, to));
}

/*
 * One end of the packet gets another address of the same family, as a router does it. `from`: the
 * one that hs_parse() has found there. 0; -1: it has come too far, and nothing has changed.
 */
HS_PURE int hs_nat(const struct hs_frame *frame, const struct hs_packet *packet, enum hs_end end,
		   const __u8 from[16], const __u8 to[16])
{
	return packet->family == 4 ? hs_nat4(frame, packet, end, from, to)
				   : hs_nat6(frame, packet, end, from, to);
}
