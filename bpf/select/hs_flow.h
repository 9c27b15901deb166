/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flow table of a service: which slot a UDP client's datagrams go to, remembered in words of
 * struct hs_flow_bucket. Pure functions of their arguments, compiled into the UDP selector by clang
 * and into the tests by gcc.
 *
 * A flow is known by the kernel's hash of its 4-tuple and by the client's port, mixed with a key.
 * On forged collisions:
 *   - The kernel's hash is keyed with a secret of this boot that no program is told; its value
 *     never leaves the kernel, nor does ours. Which 4-tuples have the same hash can be found by
 *     trying only, and nothing that a client sees tells that a try was a hit.
 *   - The mix is a bijection of 64 bits on those 48: flows that differ in hash or port get words
 *     that differ, all 55 bits of bucket and fingerprint alike only by a chance of 2^-55.
 *   - Which bucket a flow is in depends on hs_control.hash_key, 64 random bits of each service that
 *     are readable by root only. Who wants a certain client's flow out of its bucket has to fill
 *     the whole table, which is counted (flows_evicted).
 *   - And a hit wins little: two flows then share a slot, as all flows of that slot do. Nothing of
 *     one client is told to another.
 *
 * Time is counted in ticks (HS_FLOW_TICK_SHIFT) modulo 2^20, 78 hours. A flow that nothing was
 * heard of for that long, and whose place nobody took, looks as if it had been seen lately. Its
 * slot is the one it had, and its epoch was still current: no harm.
 */
#pragma once

#include "hs_abi.h"
#include "hs_decide.h"

/* What of the present a flow is judged by. */
struct hs_flow_now {
	__u64 epochs; /* hs_control.epochs */
	__u32 tick;   /* hs_flow_tick() */
	__u32 idle;   /* hs_control.flow_idle, ticks */
};

/* Between CPUs a flow may be newer than the present, by as long as a program can be held up. */
#define HS_FLOW_TICKS_AHEAD 16

/* CLOCK_MONOTONIC, as the coarse clock tells it. */
HS_PURE __u32 hs_flow_tick(__u64 nsec)
{
	return (__u32)(nsec >> HS_FLOW_TICK_SHIFT) & HS_FLOW_TICK_MASK;
}

/* splitmix64: all 64 bits count. The bucket is taken from the low ones, the fingerprint from the
 * high ones. */
HS_PURE __u64 hs_flow_mix(__u64 key, const struct hs_flow *flow)
{
	__u64 x = ((__u64)flow->sport << 32 | flow->hash) ^ key;

	x = (x + 0x9e3779b97f4a7c15ULL);
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* The fingerprint where a word has it; never 0. */
HS_PURE __u64 hs_flow_print(__u64 mix)
{
	__u64 print = mix >> HS_FLOW_PRINT_POSITION;

	return (print ? print : 1) << HS_FLOW_PRINT_POSITION;
}

HS_PURE __u32 hs_flow_slot(__u64 word)
{
	return (word >> HS_FLOW_SLOT_SHIFT) & 0xf;
}

HS_PURE __u32 hs_flow_epoch_of(__u64 epochs, __u32 slot)
{
	return (epochs >> (4 * (slot & 0xf))) & 0xf;
}

HS_PURE __u64 hs_flow_word(__u64 mix, __u32 slot, const struct hs_flow_now *now)
{
	return hs_flow_print(mix) | (__u64)now->tick << HS_FLOW_TICK_POSITION |
	       hs_flow_epoch_of(now->epochs, slot) << HS_FLOW_EPOCH_SHIFT |
	       (slot & 0xf) << HS_FLOW_SLOT_SHIFT;
}

HS_PURE __u32 hs_flow_seen(__u64 word)
{
	return (word >> HS_FLOW_TICK_POSITION) & HS_FLOW_TICK_MASK;
}

/* Ticks since the flow was seen. */
HS_PURE __u32 hs_flow_age(__u64 word, __u32 tick)
{
	__u32 age = (tick - hs_flow_seen(word)) & HS_FLOW_TICK_MASK;

	return age > HS_FLOW_TICK_MASK - HS_FLOW_TICKS_AHEAD ? 0 : age;
}

/* Whether somebody's datagrams still belong to this flow: neither idle nor of an earlier occupation
 * of its slot. False for a free place. */
HS_PURE int hs_flow_is_live(__u64 word, const struct hs_flow_now *now)
{
	__u32 epoch = (word >> HS_FLOW_EPOCH_SHIFT) & 0xf;

	return word && epoch == hs_flow_epoch_of(now->epochs, hs_flow_slot(word)) &&
	       hs_flow_age(word, now->tick) < now->idle;
}

/*
 * The place of a flow, live or not; HS_FLOW_WAYS when it has none. Without branches: they would go
 * one way or another with each datagram, and a CPU cannot guess which.
 */
HS_PURE __u32 hs_flow_find(const struct hs_flow_bucket *bucket, __u64 mix)
{
	__u64 print = hs_flow_print(mix), matches = 0;

#ifdef __bpf__
#pragma unroll
#endif
	for (__u32 way = 0; way < HS_FLOW_WAYS; way++) {
		__u64 word = *(const volatile __u64 *)&bucket->flows[way];
		__u64 differs = (word ^ print) >> HS_FLOW_PRINT_POSITION;

		/* the top bit of 0 - 1 */
		differs -= 1;
		__asm__ volatile("" : "+r"(differs));
		matches |= (differs >> 63) << way;
	}
	return hs_lowest(matches | 1 << HS_FLOW_WAYS);
}

/* How well a place suits: a live flow's by its age, below those that nobody needs; best is the one
 * that the same flow had before, so that it has only one. `print` as hs_flow_print() gives it. */
HS_PURE __u32 hs_flow_fitness(__u64 word, __u64 print, const struct hs_flow_now *now)
{
	if (!((word ^ print) >> HS_FLOW_PRINT_POSITION))
		return HS_FLOW_TICK_MASK + 2;
	if (!hs_flow_is_live(word, now))
		return HS_FLOW_TICK_MASK + 1;
	return hs_flow_age(word, now->tick);
}

/* The better of two places, each fitness * HS_FLOW_WAYS + HS_FLOW_WAYS - 1 - way; of two that suit
 * as well the first. Without branches, for the verifier's sake. */
HS_PURE __u32 hs_flow_better(__u32 a, __u32 b)
{
	__u64 less = (__u64)a - b;

	__asm__ volatile("" : "+r"(less));
	less >>= 63;
	__asm__ volatile("" : "+r"(less));
	return a ^ ((a ^ b) & -(__u32)less);
}

HS_PURE __u32 hs_flow_rank(__u32 fitness, __u32 way)
{
	return fitness * HS_FLOW_WAYS + (HS_FLOW_WAYS - 1 - way);
}

HS_PURE __u32 hs_flow_way(__u32 rank)
{
	return HS_FLOW_WAYS - 1 - rank % HS_FLOW_WAYS;
}

/* Whether writing there makes another flow lose its place that is not idle yet. */
HS_PURE int hs_flow_evicts(__u32 rank)
{
	return rank / HS_FLOW_WAYS <= HS_FLOW_TICK_MASK;
}

/* The best rank of a bucket: where to write a flow that was not found, or that goes to another slot
 * from now on. The selector has a loop of its own around the functions above. */
HS_PURE __u32 hs_flow_place(const struct hs_flow_bucket *bucket, __u64 mix,
			    const struct hs_flow_now *now)
{
	__u32 best = 0;

	for (__u32 way = 0; way < HS_FLOW_WAYS; way++)
		best = hs_flow_better(best, hs_flow_rank(hs_flow_fitness(bucket->flows[way],
									 hs_flow_print(mix), now),
							 way));
	return best;
}

/* Whether a datagram with this first byte has QUIC's long header: of the handshake, with a
 * connection id that the client chose (RFC 8999). */
HS_PURE int hs_quic_is_long(__u8 first)
{
	return first & 0x80;
}
