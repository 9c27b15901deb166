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
	struct heavy *heavy; /* those that got anything, the heaviest first */
	unsigned n;
	uint32_t members;
	uint64_t load[HS_SLOTS_MAX];
	double share[HS_SLOTS_MAX]; /* of the total */
	double total;
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
 * more than it has too much; NULL when none helps. */
static struct heavy *pick(const struct balance *balance, unsigned from, unsigned to)
{
	double now = fullness(balance, from, balance->load[from]);

	for (unsigned i = 0; i < balance->n; i++) {
		struct heavy *heavy = &balance->heavy[i];

		if (heavy->slot != from)
			continue;
		if (fullness(balance, to, balance->load[to] + heavy->hits) < now * 0.995)
			return heavy;
	}
	return NULL;
}

static void note(struct hs_spread *spread, const struct heavy *heavy)
{
	unsigned i = 0;

	while (i < spread->n_moved && spread->moved[i].bucket != heavy->bucket)
		i++;
	spread->moved[i] = (struct hs_moved_bucket) {.bucket = heavy->bucket, .slot = heavy->slot};
	spread->n_moved += i == spread->n_moved;
}

/* False: nothing is left that helps. */
static bool move_one(struct balance *balance, struct hs_spread *spread)
{
	unsigned from = extreme(balance, true), to = extreme(balance, false);
	struct heavy *heavy;

	if (from == to || spread->n_moved == HS_MOVED_MAX ||
	    fullness(balance, from, balance->load[from]) < 1 + REBALANCE_CLOSE / 100.0)
		return false;
	heavy = pick(balance, from, to);
	if (!heavy)
		return false;
	balance->load[from] -= heavy->hits;
	balance->load[to] += heavy->hits;
	heavy->slot = (uint8_t)to;
	note(spread, heavy);
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
	struct heavy *heavy = malloc(HS_BUCKETS * sizeof(*heavy));
	struct balance balance = {.heavy = heavy, .members = members};

	*ret_rebalance = (struct rebalance) {0};
	if (!heavy)
		return;
	collect(&balance, buckets, hits);
	set_shares(&balance, spread);
	ret_rebalance->total = (uint64_t)balance.total;
	memcpy(ret_rebalance->before, balance.load, sizeof(balance.load));
	memcpy(ret_rebalance->wanted, balance.share, sizeof(balance.share));
	ret_rebalance->worst_before = worst(&balance);
	while (move_one(&balance, spread))
		;
	ret_rebalance->worst_after = worst(&balance);
	memcpy(ret_rebalance->after, balance.load, sizeof(balance.load));
	ret_rebalance->moved = count_moved(&balance, buckets);
	free(heavy);
}
