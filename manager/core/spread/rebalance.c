// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/spread/rebalance.h"

#include <stdlib.h>
#include <string.h>

#include "util/macro.h"

/* Buckets are looked at in this order. */
struct heavy {
	uint32_t hits;
	uint16_t bucket;
	uint8_t slot;
};

struct balance {
	struct heavy heavy[HS_BUCKETS]; /* those that got anything, the heaviest first */
	unsigned n;
	uint32_t members;
	uint64_t load[HS_SLOTS_MAX];
	double share[HS_SLOTS_MAX]; /* of the total */
	double total;
	bool noted[HS_BUCKETS];	     /* is among those that were moved */
	uint8_t unmoved[HS_BUCKETS]; /* as all would lie if none was */
};

static int compare(const void *a, const void *b)
{
	const struct heavy *left = a, *right = b;

	if (left->hits != right->hits)
		return left->hits < right->hits ? 1 : -1;
	return left->bucket - right->bucket;
}

static void collect(struct balance *balance, const uint8_t buckets[HS_BUCKETS],
		    const uint32_t hits[HS_BUCKETS])
{
	for (unsigned bucket = 0; bucket < HS_BUCKETS; bucket++) {
		unsigned slot = hs_bucket_first(buckets[bucket]);

		if (!hits[bucket])
			continue;
		balance->heavy[balance->n++] = (struct heavy) {
			.hits = hits[bucket], .bucket = (uint16_t)bucket, .slot = (uint8_t)slot};
		balance->load[slot] += hits[bucket];
		balance->total += hits[bucket];
	}
	qsort(balance->heavy, balance->n, sizeof(balance->heavy[0]), compare);
}

static void set_shares(struct balance *balance, const struct hs_spread *spread)
{
	double sum = 0;

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (balance->members >> slot & 1)
			sum += spread->weights[slot];
	for (unsigned slot = 0; slot < HS_SLOTS_MAX && sum > 0; slot++)
		if (balance->members >> slot & 1)
			balance->share[slot] = balance->total * spread->weights[slot] / sum;
}

/* How full a slot is, 1 = it has its share. */
static double fullness(const struct balance *balance, unsigned slot, double load)
{
	return balance->share[slot] > 0 ? load / balance->share[slot] : 0;
}

static unsigned extreme(const struct balance *balance, bool fullest)
{
	unsigned found = HS_SLOT_NONE;
	double best = 0;

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
		double full = fullness(balance, slot, balance->load[slot]);

		if (balance->share[slot] <= 0)
			continue;
		if (found == HS_SLOT_NONE || (fullest ? full > best : full < best)) {
			found = slot;
			best = full;
		}
	}
	return found;
}

/* The heaviest bucket of `from` that leaves `to` less full than `from` is now, and does not take
 * more than it has too much; NULL when none helps. `again`: of those that were moved before. */
static struct heavy *pick(struct balance *balance, unsigned from, unsigned to, bool again)
{
	double now = fullness(balance, from, balance->load[from]);

	for (unsigned i = 0; i < balance->n; i++) {
		struct heavy *heavy = &balance->heavy[i];

		if (heavy->slot != from || (again && !balance->noted[heavy->bucket]))
			continue;
		if (fullness(balance, to, balance->load[to] + heavy->hits) < now * 0.995)
			return heavy;
	}
	return NULL;
}

static void note(struct balance *balance, struct hs_spread *spread, const struct heavy *heavy)
{
	unsigned i = 0;

	while (i < spread->n_moved && spread->moved[i].bucket != heavy->bucket)
		i++;
	spread->moved[i] = (struct hs_moved_bucket) {.bucket = heavy->bucket, .slot = heavy->slot};
	spread->n_moved += i == spread->n_moved;
	balance->noted[heavy->bucket] = true;
}

/* What was moved is kept as long as it says anything: where the bucket would lie by itself may have
 * changed with the weights, or it has been moved back. There is room for so many. */
static void drop_needless(struct balance *balance, struct hs_spread *spread)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < spread->n_moved; i++) {
		struct hs_moved_bucket moved = spread->moved[i];

		balance->noted[moved.bucket] =
			hs_bucket_first(balance->unmoved[moved.bucket]) != moved.slot;
		if (balance->noted[moved.bucket])
			spread->moved[kept++] = moved;
	}
	spread->n_moved = kept;
}

/* With all slots that may come: one that is first among these is so without some of them, too. */
static void fill_unmoved(struct balance *balance, const struct hs_spread *spread)
{
	struct hs_spread unmoved = *spread;
	uint32_t all = (1U << HS_SLOTS_MAX) - 1;

	unmoved.n_moved = 0;
	spread_fill(&unmoved, spread_members(&unmoved, all) | balance->members, balance->unmoved);
}

/* False: nothing is left that helps. */
static bool move_one(struct balance *balance, struct hs_spread *spread, bool *full)
{
	unsigned from = extreme(balance, true), to = extreme(balance, false);
	struct heavy *heavy;
	bool has_room;

	if (from == to ||
	    fullness(balance, from, balance->load[from]) < 1 + REBALANCE_CLOSE / 100.0)
		return false;
	if (spread->n_moved == HS_MOVED_MAX)
		drop_needless(balance, spread);
	has_room = spread->n_moved < HS_MOVED_MAX;
	heavy = pick(balance, from, to, !has_room);
	*full = !heavy && !has_room && pick(balance, from, to, false);
	if (!heavy)
		return false;
	balance->load[from] -= heavy->hits;
	balance->load[to] += heavy->hits;
	heavy->slot = (uint8_t)to;
	note(balance, spread, heavy);
	return true;
}

static double worst(const struct balance *balance)
{
	unsigned slot = extreme(balance, true);

	return slot < HS_SLOTS_MAX ? fullness(balance, slot, balance->load[slot]) : 0;
}

static unsigned count_moved(const struct balance *balance, const uint8_t buckets[HS_BUCKETS])
{
	unsigned moved = 0;

	for (unsigned i = 0; i < balance->n; i++)
		moved += hs_bucket_first(buckets[balance->heavy[i].bucket]) !=
			 balance->heavy[i].slot;
	return moved;
}

void rebalance_plan(struct hs_spread *spread, uint32_t members, const uint8_t buckets[HS_BUCKETS],
		    const uint32_t hits[HS_BUCKETS], struct rebalance *ret_rebalance)
{
	_cleanup_(freep) struct balance *balance = calloc(1, sizeof(*balance));

	*ret_rebalance = (struct rebalance) {0};
	if (!balance)
		return;
	balance->members = members;
	fill_unmoved(balance, spread);
	drop_needless(balance, spread);
	collect(balance, buckets, hits);
	set_shares(balance, spread);
	ret_rebalance->total = (uint64_t)balance->total;
	memcpy(ret_rebalance->before, balance->load, sizeof(balance->load));
	memcpy(ret_rebalance->wanted, balance->share, sizeof(balance->share));
	ret_rebalance->worst_before = worst(balance);
	while (move_one(balance, spread, &ret_rebalance->full))
		;
	ret_rebalance->worst_after = worst(balance);
	memcpy(ret_rebalance->after, balance->load, sizeof(balance->load));
	ret_rebalance->moved = count_moved(balance, buckets);
}
