/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which bucket of a service's table a client belongs to. Pure functions of their arguments,
 * compiled into the selectors by clang, and into user space by gcc, which has to find the same.
 *
 * The hash is keyed, so that nobody who does not know the key can aim at a slot; it is of an
 * address of 128 bits, IPv4 as ::ffff:a.b.c.d, so that sockets of IPv4 and of both families agree;
 * and it is the same on machines of either byte order.
 */
#pragma once

#include "hs_abi.h"
#include "hs_decide.h"

/* Eight bytes as a number, the first one highest, wherever they lie. */
HS_PURE __u64 hs_big_endian(const __u8 bytes[8])
{
	__u64 value;

	__builtin_memcpy(&value, bytes, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	value = __builtin_bswap64(value);
#endif
	return value;
}

/* The finaliser of splitmix64: a bijection. */
HS_PURE __u64 hs_mix64(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* A client's address as two numbers, the first byte highest; IPv4 mapped. */
struct hs_client {
	__u64 high, low;
};

/* `address` in host byte order. */
HS_PURE struct hs_client hs_client_ipv4(__u32 address)
{
	return (struct hs_client) {.low = 0xffffULL << 32 | address};
}

/* `ip` in network byte order. */
HS_PURE struct hs_client hs_client_of(const __u8 ip[16])
{
	return (struct hs_client) {.high = hs_big_endian(ip), .low = hs_big_endian(ip + 8)};
}

/* `port` in host byte order, 0 where it does not count. */
HS_PURE __u32 hs_bucket(__u64 key, const struct hs_client *client, __u16 port)
{
	__u64 x = hs_mix64(key ^ client->high ^ (__u64)port << 32) ^ client->low;

	/* the upper bits of a product depend on all below them */
	x = (x ^ (x >> 32)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 29)) * 0x94d049bb133111ebULL;
	return x >> 48;
}

/*
 * Where the bucket of a sender of datagrams is remembered, hs_table.recall: a word is
 *
 *   bits  0-15  the bucket            bits 16-31  the sender's port
 *   bits 32-51  the upper bits of the kernel's hash of the 4-tuple, whose lower ones are the place
 *   bits 52-63  hs_spread.epoch, so that what was remembered by another key is nobody's
 *
 * written by one store. That hash is keyed with a secret of this boot; two senders with the same
 * hash and port are one of 2^48 pairs, nobody can look for them, and all they would have in common
 * is a slot.
 */
HS_PURE __u32 hs_recall_place(const struct hs_flow *flow)
{
	return flow->hash & (HS_RECALL_MAX - 1);
}

/* Without the bucket. */
HS_PURE __u64 hs_recall_word(__u32 epoch, const struct hs_flow *flow)
{
	return (__u64)epoch << (64 - HS_RECALL_EPOCH_BITS) |
	       (__u64)(flow->hash >> HS_RECALL_BITS) << 32 | (__u64)flow->sport << 16;
}

HS_PURE __u32 hs_bucket_first(__u8 bucket)
{
	return bucket & 0xf;
}

HS_PURE __u32 hs_bucket_second(__u8 bucket)
{
	return bucket >> 4;
}
