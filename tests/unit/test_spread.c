// SPDX-License-Identifier: GPL-2.0-or-later
/* core/spread and core/rebalance: who moves, how even it is, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/canary.h"
#include "core/spread/rebalance.h"
#include "core/spread/spread.h"
#include "system/hashkey.h"
#include "util/macro.h"

#define KEYS 12

static uint8_t before[HS_BUCKETS], after[HS_BUCKETS];

static uint32_t first_n(unsigned n)
{
	return (1U << n) - 1;
}

static struct hs_spread made(uint64_t key)
{
	struct hs_spread spread;

	spread_init(&spread, key, HS_BY_CLIENT, HS_SLOTS_MAX);
	return spread;
}

static struct hs_prefix prefix(const char *text)
{
	struct hs_prefix parsed;

	assert_int_equal(prefix_parse(text, &parsed), 0);
	return parsed;
}

/* Nobody moves between two slots that are there before and behind. */
static void check_only_to_or_from(unsigned slot)
{
	for (unsigned i = 0; i < HS_BUCKETS; i++) {
		unsigned a = hs_bucket_first(before[i]), b = hs_bucket_first(after[i]);

		if (a != b)
			assert_true(a == slot || b == slot);
	}
}

static void test_who_moves_when_a_slot_comes(void **state)
{
	(void)state;
	for (uint64_t key = 1; key <= KEYS; key++)
		for (unsigned n = 2; n < HS_SLOTS_MAX; n++) {
			struct hs_spread spread = made(key * 0x1234567890abcdefULL);
			double ideal = HS_BUCKETS / (n + 1.0);
			double sigma = sqrt(ideal * (1 - 1 / (n + 1.0)));

			spread_fill(&spread, first_n(n), before);
			spread_fill(&spread, first_n(n + 1), after);
			check_only_to_or_from(n);
			assert_true(fabs(spread_moved(before, after) - ideal) < 4 * sigma);
		}
}

/* What 20 % and 11.1 % are at the most, with all keys that were tried. */
static void test_as_many_as_promised(void **state)
{
	(void)state;
	for (uint64_t key = 1; key <= KEYS; key++) {
		struct hs_spread spread = made(hs_mix64(key));

		spread_fill(&spread, first_n(4), before);
		spread_fill(&spread, first_n(5), after);
		assert_true(spread_moved(before, after) <= HS_BUCKETS * 0.22);
		spread_fill(&spread, first_n(8), before);
		spread_fill(&spread, first_n(9), after);
		assert_true(spread_moved(before, after) <= HS_BUCKETS * 0.13);
	}
}

/* The second slot of each bucket is who gets it when the first goes, and nobody else moves. */
static void test_a_slot_that_goes(void **state)
{
	struct hs_spread spread = made(42);

	(void)state;
	for (unsigned gone = 0; gone < 4; gone++) {
		spread_fill(&spread, first_n(4), before);
		spread_fill(&spread, first_n(4) & ~(1U << gone), after);
		for (unsigned i = 0; i < HS_BUCKETS; i++)
			assert_int_equal(hs_bucket_first(after[i]),
					 hs_bucket_first(before[i]) == gone
						 ? hs_bucket_second(before[i])
						 : hs_bucket_first(before[i]));
	}
}

static void check_shares(const struct hs_spread *spread, unsigned n)
{
	uint32_t counts[HS_SLOTS_MAX];
	double sum = 0;

	spread_fill(spread, first_n(n), before);
	spread_count(before, counts);
	for (unsigned slot = 0; slot < n; slot++)
		sum += spread->weights[slot];
	for (unsigned slot = 0; slot < n; slot++) {
		double p = spread->weights[slot] / sum;

		if (fabs(counts[slot] - HS_BUCKETS * p) > 3 * sqrt(HS_BUCKETS * p * (1 - p)))
			fail_msg("slot %u of %u has %u, expected %.0f", slot, n, counts[slot],
				 HS_BUCKETS * p);
	}
}

static void test_shares(void **state)
{
	struct hs_spread spread = made(7);

	(void)state;
	for (unsigned n = 1; n <= HS_SLOTS_MAX; n++)
		check_shares(&spread, n);
	spread.weights[0] = 50;
	spread.weights[1] = 1;
	spread.weights[2] = 1000;
	spread.weights[3] = 0;
	check_shares(&spread, 6);
}

/* Who gets a higher weight takes, and nobody else moves. */
static void test_weights_move_few(void **state)
{
	struct hs_spread spread = made(99);

	(void)state;
	spread_fill(&spread, first_n(4), before);
	spread.weights[2] = 150;
	spread_fill(&spread, first_n(4), after);
	check_only_to_or_from(2);
	for (unsigned i = 0; i < HS_BUCKETS; i++)
		if (hs_bucket_first(before[i]) == 2)
			assert_int_equal(hs_bucket_first(after[i]), 2);
}

/* Two machines have to agree. The numbers come from another program, which takes logarithms in
 * floating point. */
static void test_the_same_everywhere(void **state)
{
	struct hs_spread spread = made(0x0123456789abcdefULL);
	static struct hs_table_copy copy;
	const uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 7};
	struct hs_client client = hs_client_of(ip), same = hs_client_ipv4(0xc0000207);

	(void)state;
	assert_memory_equal(&client, &same, sizeof(client));
	assert_int_equal(hs_bucket(0x0123456789abcdefULL, &client, 0), 16776);
	assert_int_equal(hs_bucket(0x0123456789abcdefULL, &client, 4711), 9788);
	spread.members = first_n(5);
	spread.weights[1] = 30;
	copy.spread = spread;
	spread_fill(&spread, spread.members, copy.buckets);
	assert_true(spread_fingerprint(&copy) == 0x7825f57c6fd3e769ULL);
	copy.buckets[17] ^= 1;
	assert_false(spread_fingerprint(&copy) == 0x7825f57c6fd3e769ULL);
}

static void test_members(void **state)
{
	struct hs_spread spread = made(1);

	(void)state;
	spread.slots = 4;
	spread.weights[1] = 0;
	assert_int_equal(spread_members(&spread, 0xff), 0xd);
	assert_int_equal(spread_members(&spread, 0x02), 0x2);
	assert_int_equal(spread_members(&spread, 0x30), 0x30);
	spread.held = 0x1;
	assert_int_equal(spread_members(&spread, 0xff), 0xc);
	/* better one that is held than none */
	assert_int_equal(spread_members(&spread, 0x01), 0x1);
	spread.held = 0;
	assert_int_equal(spread_members(&spread, 0), 0);
	/* a slot without weight alone has all of it */
	spread_fill(&spread, 0x2, before);
	assert_int_equal(before[0], 0x11);
}

static void test_weights_are_refused(void **state)
{
	struct hs_spread spread = made(1), was;
	struct problem problem;
	unsigned percent;

	(void)state;
	spread.slots = 2;
	assert_int_equal(spread_set_weight(&spread, 0, 0, &problem), 0);
	was = spread;
	assert_int_equal(spread_set_weight(&spread, 1, 0, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "add up to nothing"));
	assert_int_equal(spread_set_weight(&spread, 2, 50, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "takes no part"));
	assert_memory_equal(&was, &spread, sizeof(was));
	assert_int_equal(spread_set_slots(&spread, 1, &problem), -EINVAL);
	assert_int_equal(spread_parse_weight("50%", &percent), 0);
	assert_int_equal(percent, 50);
	assert_int_equal(spread_parse_weight("1000", &percent), 0);
	static const char *const wrong[] = {"", "%", "1001%", "-1%", "5 %", "50%%", "1e2", "0x10"};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(spread_parse_weight(wrong[i], &percent), -EINVAL);
}

static void test_pins(void **state)
{
	struct hs_prefix net = prefix("192.0.2.0/24"), half = prefix("192.0.2.128/25"),
			 other = prefix("2001:db8::/32");
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 7};
	struct hs_spread spread = made(1);
	struct problem problem;

	(void)state;
	spread.slots = 4;
	assert_int_equal(spread_pin(&spread, &net, 3, &problem), 0);
	assert_int_equal(spread_pin(&spread, &other, 1, &problem), 0);
	assert_int_equal(spread_pin(&spread, &half, 2, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "192.0.2.128/25 overlaps 192.0.2.0/24"));
	assert_int_equal(spread_pin(&spread, &half, 4, &problem), -EINVAL);
	assert_int_equal(spread_set_slots(&spread, 3, &problem), -EINVAL);
	assert_int_equal(spread_pinned(&spread, 0xf, ip)->slot, 3);
	assert_null(spread_pinned(&spread, 0x7, ip));
	assert_int_equal(spread_pin(&spread, &net, 0, &problem), 0);
	assert_int_equal(spread.n_pinned, 2);
	assert_int_equal(spread_pinned(&spread, 0xf, ip)->slot, 0);
	assert_int_equal(spread_pin(&spread, &net, HS_SLOT_NONE, &problem), 0);
	assert_int_equal(spread_pin(&spread, &net, HS_SLOT_NONE, &problem), -EINVAL);
	assert_null(spread_pinned(&spread, 0xf, ip));
	assert_int_equal(spread_pin(&spread, &half, 2, &problem), 0);
	for (unsigned i = 0; spread.n_pinned < HS_PINNED_MAX; i++) {
		struct hs_prefix one = prefix("10.0.0.0/32");

		one.ip[15] = (uint8_t)i;
		assert_int_equal(spread_pin(&spread, &one, 0, &problem), 0);
	}
	other = prefix("2001:db9::/32");
	assert_int_equal(spread_pin(&spread, &other, 0, &problem), -EINVAL);
	assert_true(spread_is_sound(&spread));
}

/* Sixteen exporters on four slots, of which some send ten times as much as others. */
static void test_rebalance(void **state)
{
	static uint32_t hits[HS_BUCKETS];
	struct rebalance plan;

	(void)state;
	for (uint64_t key = 1; key <= KEYS; key++) {
		struct hs_spread spread = made(key);
		uint32_t members = first_n(4);
		double first;

		memset(hits, 0, sizeof(hits));
		for (unsigned i = 0; i < 64; i++)
			hits[hs_mix64(key * 1000 + i) % HS_BUCKETS] += i % 4 ? 100 : 1000;
		spread_fill(&spread, members, before);
		rebalance_plan(&spread, members, before, hits, &plan);
		first = plan.worst_after;
		assert_true(first <= plan.worst_before);
		assert_true(first < 1.1);
		spread_fill(&spread, members, after);
		assert_int_equal(spread_moved(before, after), plan.moved);
		/* nothing is left to do, and what was moved stays so while its slot is there */
		rebalance_plan(&spread, members, after, hits, &plan);
		assert_int_equal(plan.moved, 0);
		assert_true(fabs(plan.worst_before - first) < 1e-9);
		assert_true(spread_is_sound(&spread));
	}
}

/* Of so many that were moved each may be moved again, and what says nothing makes room. */
static void test_rebalance_goes_on_when_all_room_is_taken(void **state)
{
	static uint32_t hits[HS_BUCKETS];
	struct hs_spread spread = made(5);
	struct rebalance plan;
	unsigned n = 0;

	(void)state;
	memset(hits, 0, sizeof(hits));
	spread_fill(&spread, 0x3, before);
	for (unsigned bucket = 0; n < HS_MOVED_MAX; bucket++)
		if (!hs_bucket_first(before[bucket]))
			spread.moved[n++] = (struct hs_moved_bucket) {.bucket = bucket, .slot = 1};
	spread.n_moved = n;
	spread_set_slots(&spread, 2, &(struct problem) {0});
	spread_fill(&spread, 0x3, before);
	hits[spread.moved[0].bucket] = hits[spread.moved[1].bucket] = 1000;
	rebalance_plan(&spread, 0x3, before, hits, &plan);
	assert_int_equal(plan.moved, 1);
	assert_true(fabs(plan.worst_after - 1) < 1e-9);
	assert_false(plan.full);
	assert_int_equal(spread.n_moved, HS_MOVED_MAX);
	/* the one that is back has made room for another */
	spread_fill(&spread, 0x3, before);
	memset(hits, 0, sizeof(hits));
	for (unsigned bucket = HS_BUCKETS - 1; n > HS_MOVED_MAX - 4; bucket--)
		if (!hs_bucket_first(before[bucket])) {
			hits[bucket] = 1000;
			n--;
		}
	rebalance_plan(&spread, 0x3, before, hits, &plan);
	assert_int_equal(plan.moved, 1);
	assert_true(plan.full);
	assert_true(spread_is_sound(&spread));
	spread_fill(&spread, 0x3, after);
	assert_int_equal(spread_moved(before, after), 1);
}

static void test_what_was_moved_goes_with_its_key(void **state)
{
	struct hs_spread spread = made(5);

	(void)state;
	spread.n_moved = 1;
	spread_set_key(&spread, 5);
	spread_set_by(&spread, HS_BY_CLIENT);
	assert_int_equal(spread.n_moved, 1);
	spread_set_key(&spread, 6);
	assert_int_equal(spread.n_moved, 0);
	spread.n_moved = 1;
	spread_set_by(&spread, HS_BY_CONNECTION);
	assert_int_equal(spread.n_moved, 0);
}

static void test_rebalance_of_nothing(void **state)
{
	static const uint32_t hits[HS_BUCKETS];
	struct hs_spread spread = made(3);
	struct rebalance plan;

	(void)state;
	spread_fill(&spread, 0x3, before);
	rebalance_plan(&spread, 0x3, before, hits, &plan);
	assert_int_equal(plan.total, 0);
	assert_int_equal(plan.moved, 0);
	assert_int_equal(spread.n_moved, 0);
}

/* What decides about the buckets, and what does not. */
static void test_fills_alike(void **state)
{
	struct hs_spread one = made(1), other = made(1);
	struct hs_prefix to = prefix("192.0.2.0/24");
	struct problem problem;

	(void)state;
	other.made_ns = 1;
	other.by = HS_BY_CONNECTION;
	assert_int_equal(spread_pin(&other, &to, 1, &problem), 0);
	assert_int_equal(spread_set_slots(&other, 4, &problem), 0);
	assert_true(spread_fills_alike(&one, &other));
	spread_fill(&one, 0xf, before);
	spread_fill(&other, 0xf, after);
	assert_memory_equal(before, after, sizeof(before));
	other = one;
	other.members = 0x7;
	assert_false(spread_fills_alike(&one, &other));
	other = one;
	other.key++;
	assert_false(spread_fills_alike(&one, &other));
	other = one;
	assert_int_equal(spread_set_weight(&other, 3, 99, &problem), 0);
	assert_false(spread_fills_alike(&one, &other));
	other = one;
	other.moved[other.n_moved++] = (struct hs_moved_bucket) {.bucket = 7, .slot = 1};
	assert_false(spread_fills_alike(&one, &other));
	one.moved[one.n_moved++] = (struct hs_moved_bucket) {.bucket = 7, .slot = 2};
	assert_false(spread_fills_alike(&one, &other));
}

/* Who is told how to write a key writes one, also over one that hsd cannot read. */
static void test_keys_that_cannot_be_read(void **state)
{
	static const struct {
		const char *path, *says;
		bool writes;
	} keys[] = {
		{"/etc/hotstandby-has-none.key", "; write it with: ", true},
		{"/etc/passwd/key", "cannot be read: Not a directory", false},
		{"/root/hotstandby-has-none.key", "hsd does not see /root", false},
		{"/var/tmp/hotstandby-has-none.key", "put the file in /etc/hotstandby", false},
	};
	struct problem problem;
	uint64_t key;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		assert_true(hashkey_read(keys[i].path, &key, &problem) < 0);
		if (!strstr(problem.text, keys[i].says) ||
		    !!strstr(problem.text, "urandom") != keys[i].writes)
			fail_msg("%s: %s", keys[i].path, problem.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_moves_when_a_slot_comes),
		cmocka_unit_test(test_as_many_as_promised),
		cmocka_unit_test(test_a_slot_that_goes),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_weights_move_few),
		cmocka_unit_test(test_the_same_everywhere),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_weights_are_refused),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_rebalance),
		cmocka_unit_test(test_rebalance_goes_on_when_all_room_is_taken),
		cmocka_unit_test(test_what_was_moved_goes_with_its_key),
		cmocka_unit_test(test_rebalance_of_nothing),
		cmocka_unit_test(test_fills_alike),
		cmocka_unit_test(test_keys_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
