/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Few clients that send much do not spread evenly, however even the buckets are: which buckets have
 * to go to another slot so that each slot gets its share of what really came. Pure.
 */
#pragma once

#include "core/spread/spread.h"

/* A slot that has so much more than its share is left alone: percent. */
#define REBALANCE_CLOSE 2

struct rebalance {
	uint64_t total;		       /* look-ups that were counted */
	uint64_t before[HS_SLOTS_MAX]; /* of them, by slot as the buckets lie now */
	uint64_t after[HS_SLOTS_MAX];  /* as they would lie */
	double wanted[HS_SLOTS_MAX];   /* by the weights */
	unsigned moved;		       /* buckets that would go to another slot */
	bool full; /* more would help, but HS_MOVED_MAX have been moved and are kept so */
	double worst_before, worst_after; /* the fullest slot, as a multiple of its share */
};

/* Plans for what `buckets` (filled from `spread` for `members`) got; `spread->moved` is changed. As
 * few buckets as that takes move, the heaviest that help first. */
void rebalance_plan(struct hs_spread *spread, uint32_t members, const uint8_t buckets[HS_BUCKETS],
		    const uint32_t hits[HS_BUCKETS], struct rebalance *ret_rebalance);
