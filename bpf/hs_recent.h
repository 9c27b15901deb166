/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many connections came lately: one word per place and CPU (hs_counters.recent), so that nobody
 * has to read a counter twice, or to wake up, to know a rate. Pure functions of their arguments,
 * compiled into the accounting by clang and into the reader by gcc.
 *
 *   bits  0-19  in the period that runs    bits 20-39  in the one before
 *   bits 40-63  which one runs: CLOCK_MONOTONIC >> HS_RECENT_SHIFT, modulo 2^24 (208 days)
 */
#pragma once

#include "hs_abi.h"
#include "hs_decide.h"

#define HS_RECENT_SHIFT	   30 /* 1.07 s */
#define HS_RECENT_MAX	   0xfffffU
#define HS_RECENT_PERIODS  0xffffffU
#define HS_RECENT_BEFORE   20
#define HS_RECENT_POSITION 40

/* By the coarse clock. */
HS_PURE __u32 hs_recent_period(__u64 nsec)
{
	return (nsec >> HS_RECENT_SHIFT) & HS_RECENT_PERIODS;
}

/* Of the last whole period. */
HS_PURE __u32 hs_recent_of(__u64 word, __u32 period)
{
	__u32 since = (period - (__u32)(word >> HS_RECENT_POSITION)) & HS_RECENT_PERIODS;

	if (since > 1)
		return 0;
	return (since ? word : word >> HS_RECENT_BEFORE) & HS_RECENT_MAX;
}

/* The word with one more; no more than HS_RECENT_MAX in one period. */
HS_PURE __u64 hs_recent_add(__u64 word, __u32 period)
{
	__u64 before = hs_recent_of(word, period);

	if ((word >> HS_RECENT_POSITION) != period)
		word = 0;
	word &= HS_RECENT_MAX;
	word += word < HS_RECENT_MAX;
	return (__u64)period << HS_RECENT_POSITION | before << HS_RECENT_BEFORE | word;
}
