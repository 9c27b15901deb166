/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decision: which slot a new flow goes to, and which of its sockets. Pure functions of their
 * arguments, compiled into the selector by clang and into the tests by gcc.
 */
#pragma once

#include "hs_abi.h"

#define HS_PURE static inline __attribute__((always_inline, unused))

struct hs_flow {
	__u32 hash;  /* the kernel's hash of the 4-tuple: the same at SYN, ACK and migration */
	__u16 sport; /* client port, host byte order */
	/* of a canary: this flow is of a client that it is not for; the share is of clients, and
	 * this is its client's hash */
	__u8 left_out, by_client;
	__u32 client;
};

HS_PURE __u32 hs_word_active(__u64 word)
{
	return (word >> HS_WORD_ACTIVE_SHIFT) & 0xff;
}

HS_PURE __u32 hs_word_canary(__u64 word)
{
	return (word >> HS_WORD_CANARY_SHIFT) & 0xff;
}

HS_PURE __u32 hs_word_share(__u64 word)
{
	return (word >> HS_WORD_SHARE_SHIFT) & 0xffff;
}

HS_PURE __u32 hs_word_policy(__u64 word)
{
	return (word >> HS_WORD_POLICY_SHIFT) & 0xf;
}

HS_PURE __u32 hs_word_flags(__u64 word)
{
	return (word >> HS_WORD_FLAGS_SHIFT) & 0xf;
}

/* Keyed finaliser (splitmix64): who does not know the key cannot aim at a slot. */
HS_PURE __u32 hs_mix(__u64 key, __u32 hash)
{
	__u64 x = key ^ hash;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return (__u32)(x ^ (x >> 31));
}

/* Maps a hash evenly onto 0..n-1, without a division. */
HS_PURE __u32 hs_scale(__u32 hash, __u32 n)
{
	return (__u32)(((__u64)hash * n) >> 32);
}

HS_PURE __u32 hs_popcount(__u64 bits)
{
	bits -= (bits >> 1) & 0x5555555555555555ULL;
	bits = (bits & 0x3333333333333333ULL) + ((bits >> 2) & 0x3333333333333333ULL);
	bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (__u32)((bits * 0x0101010101010101ULL) >> 56);
}

/* Index of the lowest set bit; 64 when there is none. BPF has no such instruction. */
HS_PURE __u32 hs_lowest(__u64 bits)
{
	__u64 below = (bits & -bits) - 1;

	/* clang else sees what is meant, and those of 17 and 18 crash when they make BPF of it */
	__asm__("" : "+r"(below));
	return hs_popcount(below);
}

/* The first set bit at or after position `start` (0..63), else the lowest of all; 64 when none. */
HS_PURE __u32 hs_bit_from(__u64 bits, __u32 start)
{
	__u64 above = bits & (~0ULL << (start & 63));

	return hs_lowest(above ? above : bits);
}

/* One past the highest set bit: how many positions a hash is spread over. */
HS_PURE __u32 hs_span(__u64 bits)
{
	bits |= bits >> 1;
	bits |= bits >> 2;
	bits |= bits >> 4;
	bits |= bits >> 8;
	bits |= bits >> 16;
	bits |= bits >> 32;
	return hs_popcount(bits);
}

/* Which of a slot's sockets gets the flow: even over them when they lie side by side, as adoption
 * puts them. 64 when `bits` is empty. */
HS_PURE __u32 hs_pick_shard(__u64 bits, __u32 hash)
{
	if (bits == 1) /* most servers have one */
		return 0;
	if (!(bits & (bits - 1)))
		return hs_lowest(bits);
	return hs_bit_from(bits, hs_scale(hash, hs_span(bits)));
}

/* The slots with a hint of a live socket, as a bit mask. Without branches: the verifier would
 * follow each of the 2^16 ways through them. */
HS_PURE __u32 hs_ready_slots(const struct hs_shards *shards)
{
	__u64 ready = 0;

#ifdef __bpf__
#pragma unroll
#endif
	for (int i = 0; i < HS_SLOTS_MAX; i++) {
		__u64 live = shards->live[i], negative = -live;

		/* keeps the compiler from turning it back into a comparison */
		__asm__ volatile("" : "+r"(negative));
		ready |= ((live | negative) >> 63) << i;
	}
	return (__u32)ready;
}

/* The N-th slot (N = keyed hash) of those in the mask; HS_SLOT_NONE for an empty mask. */
HS_PURE __u32 hs_hash_slot(__u64 key, __u32 hash, __u32 ready)
{
	__u32 n = hs_scale(hs_mix(key, hash), hs_popcount(ready));

	for (__u32 i = 0; i < HS_SLOTS_MAX && i < n; i++)
		ready &= ready - 1;
	return ready ? hs_lowest(ready) : HS_SLOT_NONE;
}

/* The hash of a client's address: keyed, or whoever may choose an IPv6 address could choose one
 * that is in the canary. */
HS_PURE __u32 hs_client_hash(__u64 key, const __u32 ip[4])
{
	__u32 hash = 0;

#ifdef __bpf__
#pragma unroll
#endif
	for (int i = 0; i < 4; i++)
		hash = hs_mix(key + i, hash ^ ip[i]);
	return hash;
}

/* Flows of a smaller share are among those of a larger. */
HS_PURE int hs_in_canary(__u64 word, __u64 key, const struct hs_flow *flow)
{
	__u32 hash = flow->by_client ? flow->client : flow->hash;

	return hs_word_canary(word) < HS_SLOTS_MAX && !flow->left_out &&
	       (hs_mix(~key, hash) & 0xffff) < hs_word_share(word);
}

/* The slot that the word alone wants for this flow, all policies but HS_POLICY_HASH: a number below
 * HS_SLOTS_MAX, or HS_SLOT_NONE. Whether it has a live socket is the caller's to find out. */
HS_PURE __u32 hs_word_slot(__u64 word, __u64 key, const struct hs_flow *flow)
{
	__u32 slot;

	if (hs_word_policy(word) == HS_POLICY_PARITY)
		return flow->sport & 1;
	slot = hs_in_canary(word, key, flow) ? hs_word_canary(word) : hs_word_active(word);
	return slot < HS_SLOTS_MAX ? slot : HS_SLOT_NONE;
}

/* The same under any policy, without a table. `shards` is read under HS_POLICY_HASH only. */
HS_PURE __u32 hs_wanted_slot(__u64 word, __u64 key, const struct hs_flow *flow,
			     const struct hs_shards *shards)
{
	return hs_word_policy(word) == HS_POLICY_HASH
		       ? hs_hash_slot(key, flow->hash, hs_ready_slots(shards))
		       : hs_word_slot(word, key, flow);
}

/* Where a flow goes when every slot before was dead: the active one, then the lowest ready one.
 * HS_SLOT_NONE when nothing is left in `ready`. */
HS_PURE __u32 hs_next_slot(__u64 word, __u32 ready)
{
	__u32 active = hs_word_active(word);

	if (active < HS_SLOTS_MAX && (ready & (1U << active)))
		return active;
	return ready ? hs_lowest(ready) : HS_SLOT_NONE;
}
