// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/spread/spread.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/canary.h"
#include "util/macro.h"
#include "util/parse.h"

/* Pieces of the curve of the logarithm, which is straight within one. */
#define LOG_BITS   8
#define LOG_PIECES (1 << LOG_BITS)
/* Logarithms have this many bits behind the point. */
#define LOG_SHIFT 32

static const char *const by_words[] = {
	[HS_BY_CLIENT] = "client",
	[HS_BY_CONNECTION] = "connection",
};
_Static_assert(ARRAY_SIZE(by_words) == HS_BY_COUNT, "a word for each");

const char *spread_by_to_string(uint32_t by)
{
	return by && by < HS_BY_COUNT ? by_words[by] : "unknown";
}

enum hs_by spread_by_from_string(const char *text)
{
	for (unsigned by = HS_BY_CLIENT; by < HS_BY_COUNT; by++)
		if (!strcmp(text, by_words[by]))
			return by;
	return 0;
}

void spread_init(struct hs_spread *spread, uint64_t key, enum hs_by by, unsigned slots)
{
	*spread = (struct hs_spread) {.key = key, .by = by, .slots = slots};
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		spread->weights[slot] = HS_WEIGHT_DEFAULT;
}

void spread_set_key(struct hs_spread *spread, uint64_t key)
{
	if (spread->key != key)
		spread->n_moved = 0;
	spread->key = key;
}

void spread_set_by(struct hs_spread *spread, enum hs_by by)
{
	if (spread->by != by)
		spread->n_moved = 0;
	spread->by = by;
}

bool spread_is_sound(const struct hs_spread *spread)
{
	if (!spread->by || spread->by >= HS_BY_COUNT || !spread->slots ||
	    spread->slots > HS_SLOTS_MAX || spread->n_pinned > HS_PINNED_MAX ||
	    spread->n_moved > HS_MOVED_MAX || spread->members >> HS_SLOTS_MAX)
		return false;
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (spread->weights[i] > HS_WEIGHT_MAX)
			return false;
	for (unsigned i = 0; i < spread->n_pinned; i++)
		if (spread->pinned[i].slot >= HS_SLOTS_MAX || spread->pinned[i].length > 128)
			return false;
	for (unsigned i = 0; i < spread->n_moved; i++)
		if (spread->moved[i].slot >= HS_SLOTS_MAX)
			return false;
	return true;
}

int spread_parse_weight(const char *text, unsigned *ret_percent)
{
	char number[SPREAD_PERCENT_MAX] = "";
	size_t n = strlen(text);
	uint64_t percent;

	if (n && text[n - 1] == '%')
		n--;
	if (n >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, n);
	if (parse_unsigned(number, 0, HS_WEIGHT_MAX, &percent) < 0)
		return -EINVAL;
	*ret_percent = (unsigned)percent;
	return 0;
}

/* ---- edits ---- */

static uint32_t first_slots(unsigned n)
{
	return (1U << n) - 1;
}

static int check_slot(const struct hs_spread *spread, unsigned slot, struct problem *problem)
{
	return slot < spread->slots
		       ? 0
		       : problem_set(
				 problem, -EINVAL,
				 "slot %u takes no part, only slots 0 to %u do; see hsctl scale",
				 slot, spread->slots - 1);
}

static unsigned sum_of_weights(const struct hs_spread *spread, unsigned slots)
{
	unsigned sum = 0;

	for (unsigned slot = 0; slot < slots; slot++)
		sum += spread->weights[slot];
	return sum;
}

int spread_set_weight(struct hs_spread *spread, unsigned slot, unsigned percent,
		      struct problem *problem)
{
	int r = check_slot(spread, slot, problem);

	assert(percent <= HS_WEIGHT_MAX);
	if (r < 0)
		return r;
	if (sum_of_weights(spread, spread->slots) == spread->weights[slot] && !percent)
		return problem_set(
			problem, -EINVAL,
			"the weights of all slots would add up to nothing; give another "
			"slot a weight first, or take slot %u out of service: hsctl drain",
			slot);
	spread->weights[slot] = (uint16_t)percent;
	return 0;
}

static bool has_bits(const uint8_t a[16], const uint8_t b[16], unsigned length)
{
	unsigned rest = length % 8;

	if (memcmp(a, b, length / 8) != 0)
		return false;
	return !rest || !((a[length / 8] ^ b[length / 8]) >> (8 - rest));
}

static bool overlap(const struct hs_pinned *pinned, const struct hs_prefix *prefix)
{
	return has_bits(pinned->ip, prefix->ip, MIN((uint32_t)pinned->length, prefix->length));
}

static const char *pinned_format(const struct hs_pinned *pinned, char text[PREFIX_TEXT_MAX])
{
	struct hs_prefix prefix = {.length = pinned->length};

	memcpy(prefix.ip, pinned->ip, sizeof(prefix.ip));
	return prefix_format(&prefix, text);
}

static struct hs_pinned *find_pinned(struct hs_spread *spread, const struct hs_prefix *prefix)
{
	for (unsigned i = 0; i < spread->n_pinned; i++)
		if (spread->pinned[i].length == prefix->length &&
		    !memcmp(spread->pinned[i].ip, prefix->ip, sizeof(prefix->ip)))
			return &spread->pinned[i];
	return NULL;
}

static int unpin(struct hs_spread *spread, const struct hs_prefix *prefix, struct problem *problem)
{
	struct hs_pinned *found = find_pinned(spread, prefix);
	char text[PREFIX_TEXT_MAX];

	if (!found)
		return problem_set(problem, -EINVAL, "%s is not pinned; see hsctl pin",
				   prefix_format(prefix, text));
	*found = spread->pinned[--spread->n_pinned];
	memset(&spread->pinned[spread->n_pinned], 0, sizeof(*found));
	return 0;
}

static int check_overlap(const struct hs_spread *spread, const struct hs_prefix *prefix,
			 struct problem *problem)
{
	char text[PREFIX_TEXT_MAX], other[PREFIX_TEXT_MAX];

	for (unsigned i = 0; i < spread->n_pinned; i++)
		if (overlap(&spread->pinned[i], prefix))
			return problem_set(
				problem, -EINVAL,
				"%s overlaps %s, which is pinned to slot %u; unpin that first: "
				"hsctl pin SERVICE %s none",
				prefix_format(prefix, text),
				pinned_format(&spread->pinned[i], other), spread->pinned[i].slot,
				other);
	return 0;
}

int spread_pin(struct hs_spread *spread, const struct hs_prefix *prefix, unsigned slot,
	       struct problem *problem)
{
	struct hs_pinned *found = find_pinned(spread, prefix);
	int r;

	assert(prefix->length <= 128);
	if (slot == HS_SLOT_NONE)
		return unpin(spread, prefix, problem);
	r = check_slot(spread, slot, problem);
	if (!r && !found)
		r = check_overlap(spread, prefix, problem);
	if (r < 0)
		return r;
	if (!found && spread->n_pinned == HS_PINNED_MAX)
		return problem_set(problem, -EINVAL,
				   "%u prefixes are pinned already, the most there may be",
				   HS_PINNED_MAX);
	if (!found)
		found = &spread->pinned[spread->n_pinned++];
	*found = (struct hs_pinned) {.length = (uint8_t)prefix->length, .slot = (uint8_t)slot};
	memcpy(found->ip, prefix->ip, sizeof(found->ip));
	return 0;
}

int spread_set_slots(struct hs_spread *spread, unsigned slots, struct problem *problem)
{
	char text[PREFIX_TEXT_MAX];

	assert(slots && slots <= HS_SLOTS_MAX);
	for (unsigned i = 0; i < spread->n_pinned; i++)
		if (spread->pinned[i].slot >= slots)
			return problem_set(problem, -EINVAL,
					   "%s is pinned to slot %u; pin it to another slot first: "
					   "hsctl pin SERVICE PREFIX SLOT",
					   pinned_format(&spread->pinned[i], text),
					   spread->pinned[i].slot);
	if (!sum_of_weights(spread, slots))
		return problem_set(problem, -EINVAL,
				   "the weights of slots 0 to %u add up to nothing; give one of "
				   "them a weight first: hsctl weight SERVICE SLOT 100%%",
				   slots - 1);
	spread->slots = slots;
	return 0;
}

/* ---- filling ---- */

uint32_t spread_members(const struct hs_spread *spread, uint32_t in_service)
{
	uint32_t taking_part = in_service & first_slots(spread->slots), weighty = 0;
	uint32_t free = taking_part & ~spread->held;

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		weighty |= (uint32_t) !!spread->weights[slot] << slot;
	if (free & weighty)
		return free & weighty;
	return free ?: taking_part ?: in_service;
}

/* log2(1 + n / LOG_PIECES) for all n, with LOG_SHIFT bits: bit by bit, by squaring. */
static void draw_curve(uint64_t curve[LOG_PIECES + 1])
{
	for (uint64_t n = 0; n < LOG_PIECES; n++) {
		uint64_t x = (LOG_PIECES + n) << (LOG_SHIFT - LOG_BITS), bits = 0;

		for (int i = 0; i < LOG_SHIFT; i++) {
			unsigned over;

			x = (uint64_t)(((unsigned __int128)x * x) >> LOG_SHIFT);
			over = x >> LOG_SHIFT >= 2;
			bits = bits << 1 | over;
			x >>= over;
		}
		curve[n] = bits;
	}
	curve[LOG_PIECES] = UINT64_C(1) << LOG_SHIFT;
}

/* -log2(x / 2^64), x above 0: at least 0, below 2^(LOG_SHIFT + 6). */
static uint64_t minus_log(const uint64_t curve[LOG_PIECES + 1], uint64_t x)
{
	unsigned zeros = (unsigned)__builtin_clzll(x);
	uint64_t mantissa = x << zeros, low, step;
	unsigned piece = mantissa >> (63 - LOG_BITS) & (LOG_PIECES - 1);

	low = curve[piece];
	step = curve[piece + 1] - low;
	low += step * (mantissa >> (63 - LOG_BITS - 31) & 0x7fffffff) >> 31;
	return ((uint64_t)(zeros + 1) << LOG_SHIFT) - low;
}

struct draw {
	unsigned slot;
	uint64_t cost; /* to be divided by `weight` */
	unsigned weight;
};

/* Below 2^38 times a weight: no overflow. Of equals the one that was there stays. */
static bool is_better(const struct draw *a, const struct draw *b)
{
	return b->slot == HS_SLOT_NONE || a->cost * b->weight < b->cost * a->weight;
}

struct filling {
	uint64_t curve[LOG_PIECES + 1];
	unsigned n;
	struct draw members[HS_SLOTS_MAX];
	uint64_t key;
};

static void begin_filling(struct filling *filling, const struct hs_spread *spread, uint32_t members)
{
	bool weighty = false;

	draw_curve(filling->curve);
	/* apart from the hash that gives clients their buckets */
	filling->key = hs_mix64(spread->key + 0x9e3779b97f4a7c15ULL);
	filling->n = 0;
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (members >> slot & 1) {
			filling->members[filling->n++] =
				(struct draw) {.slot = slot, .weight = spread->weights[slot]};
			weighty |= spread->weights[slot];
		}
	for (unsigned i = 0; i < filling->n && !weighty; i++)
		filling->members[i].weight = HS_WEIGHT_DEFAULT;
}

static uint8_t fill_one(const struct filling *filling, unsigned bucket)
{
	const struct draw none = {.slot = HS_SLOT_NONE};
	struct draw first = none, second = none, draw;

	for (unsigned i = 0; i < filling->n; i++) {
		draw = filling->members[i];
		if (!draw.weight)
			continue;
		draw.cost = minus_log(
			filling->curve,
			hs_mix64(filling->key ^ ((uint64_t)draw.slot << 32 | bucket)) | 1);
		if (is_better(&draw, &first)) {
			second = first;
			first = draw;
		} else if (is_better(&draw, &second)) {
			second = draw;
		}
	}
	if (second.slot == HS_SLOT_NONE)
		second = first;
	return (uint8_t)(first.slot | second.slot << 4);
}

/* To another slot, with the one that would have it behind it. */
static void move_bucket(uint8_t *bucket, unsigned slot)
{
	unsigned first = hs_bucket_first(*bucket);

	if (first != slot)
		*bucket = (uint8_t)(slot | first << 4);
}

void spread_fill(const struct hs_spread *spread, uint32_t members, uint8_t buckets[HS_BUCKETS])
{
	struct filling filling;

	assert(members && !(members >> HS_SLOTS_MAX));
	begin_filling(&filling, spread, members);
	for (unsigned bucket = 0; bucket < HS_BUCKETS; bucket++)
		buckets[bucket] = fill_one(&filling, bucket);
	for (unsigned i = 0; i < spread->n_moved; i++)
		if (members >> spread->moved[i].slot & 1)
			move_bucket(&buckets[spread->moved[i].bucket], spread->moved[i].slot);
}

bool spread_fills_alike(const struct hs_spread *a, const struct hs_spread *b)
{
	return a->key == b->key && a->members == b->members &&
	       !memcmp(a->weights, b->weights, sizeof(a->weights)) && a->n_moved == b->n_moved &&
	       !memcmp(a->moved, b->moved, a->n_moved * sizeof(a->moved[0]));
}

/* ---- looking ---- */

void spread_count(const uint8_t buckets[HS_BUCKETS], uint32_t counts[HS_SLOTS_MAX])
{
	memset(counts, 0, HS_SLOTS_MAX * sizeof(counts[0]));
	for (unsigned bucket = 0; bucket < HS_BUCKETS; bucket++)
		counts[hs_bucket_first(buckets[bucket])]++;
}

uint32_t spread_moved(const uint8_t before[HS_BUCKETS], const uint8_t after[HS_BUCKETS])
{
	uint32_t moved = 0;

	for (unsigned bucket = 0; bucket < HS_BUCKETS; bucket++)
		moved += hs_bucket_first(before[bucket]) != hs_bucket_first(after[bucket]);
	return moved;
}

const struct hs_pinned *spread_pinned(const struct hs_spread *spread, uint32_t members,
				      const uint8_t ip[16])
{
	const struct hs_pinned *found = NULL;

	for (unsigned i = 0; i < spread->n_pinned; i++) {
		const struct hs_pinned *pinned = &spread->pinned[i];

		if (members >> pinned->slot & 1 && has_bits(pinned->ip, ip, pinned->length) &&
		    (!found || pinned->length > found->length))
			found = pinned;
	}
	return found;
}

unsigned spread_first(const struct hs_table_copy *copy, const uint8_t ip[16], uint16_t port)
{
	const struct hs_spread *spread = &copy->spread;
	const struct hs_pinned *pinned = spread_pinned(spread, spread->members, ip);
	struct hs_client client = hs_client_of(ip);

	if (pinned)
		return pinned->slot;
	return hs_bucket_first(copy->buckets[hs_bucket(spread->key, &client,
						       spread->by == HS_BY_CONNECTION ? port : 0)]);
}

/* FNV-1a */
static uint64_t add_bytes(uint64_t sum, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum = (sum ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ULL;
	return sum;
}

static int compare_pinned(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct hs_pinned));
}

int spread_key_of(const char *text, uint64_t *ret_key)
{
	size_t n = strlen(text);

	while (n && strchr(" \t\r\n", text[n - 1]))
		n--;
	if (n < SPREAD_KEY_MIN)
		return -EINVAL;
	*ret_key = hs_mix64(add_bytes(0xcbf29ce484222325ULL, text, n));
	return 0;
}

uint64_t spread_fingerprint(const struct hs_table_copy *copy)
{
	const struct hs_spread *spread = &copy->spread;
	struct hs_pinned pinned[HS_PINNED_MAX];
	unsigned n = MIN(spread->n_pinned, (unsigned)HS_PINNED_MAX), live = 0;
	uint8_t by = (uint8_t)spread->by, key[8];
	uint64_t sum = 0xcbf29ce484222325ULL;

	/* those that count now, in an order that does not depend on who was pinned first */
	for (unsigned i = 0; i < n; i++)
		if (spread->members >> spread->pinned[i].slot & 1)
			pinned[live++] = spread->pinned[i];
	qsort(pinned, live, sizeof(pinned[0]), compare_pinned);
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(spread->key >> 8 * i);
	sum = add_bytes(sum, &by, sizeof(by));
	sum = add_bytes(sum, key, sizeof(key));
	sum = add_bytes(sum, copy->buckets, sizeof(copy->buckets));
	return add_bytes(sum, pinned, live * sizeof(pinned[0]));
}
