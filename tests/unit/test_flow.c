/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bpf/select/hs_flow.h as gcc compiles it: which UDP flows are known, and which are forgotten
 * first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "hs_flow.h"
#include "util/macro.h"

#define KEY  0x0123456789abcdefULL
#define LAST HS_FLOW_TICK_MASK

static uint64_t random_number(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static uint64_t mix_of(uint32_t n)
{
	struct hs_flow flow = {.hash = n * 2654435761U, .sport = n};

	return hs_flow_mix(KEY, &flow);
}

static struct hs_flow_now at(uint32_t tick, uint32_t idle)
{
	return (struct hs_flow_now) {.tick = tick & LAST, .idle = idle};
}

static void test_ticks(void **state)
{
	(void)state;
	assert_int_equal(hs_flow_tick(0), 0);
	assert_int_equal(hs_flow_tick((1ULL << HS_FLOW_TICK_SHIFT) - 1), 0);
	assert_int_equal(hs_flow_tick(1ULL << HS_FLOW_TICK_SHIFT), 1);
	assert_int_equal(hs_flow_tick((uint64_t)(LAST + 1) << HS_FLOW_TICK_SHIFT), 0);
	assert_int_equal(hs_flow_tick(~0ULL), LAST);
}

static void test_a_word_keeps_what_it_is_given(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 100000; round++) {
		uint64_t mix = random_number();
		struct hs_flow_now now = {
			.epochs = random_number(), .tick = random_number() & LAST, .idle = 1};
		unsigned slot = random_number() % HS_SLOTS_MAX;
		uint64_t word = hs_flow_word(mix, slot, &now);

		assert_int_equal(hs_flow_slot(word), slot);
		assert_int_equal(hs_flow_seen(word), now.tick);
		assert_int_equal((word >> HS_FLOW_EPOCH_SHIFT) & 0xf,
				 hs_flow_epoch_of(now.epochs, slot));
		assert_true(word >> HS_FLOW_PRINT_POSITION ==
			    hs_flow_print(mix) >> HS_FLOW_PRINT_POSITION);
		assert_true(hs_flow_is_live(word, &now));
	}
}

static void test_no_flow_is_a_free_place(void **state)
{
	struct hs_flow_now now = at(0, 100);

	(void)state;
	assert_true(hs_flow_word(0, 0, &now) != 0);
	assert_true(hs_flow_word((1ULL << HS_FLOW_PRINT_POSITION) - 1, 0, &now) != 0);
	assert_false(hs_flow_is_live(0, &now));
}

static void test_age(void **state)
{
	static const struct {
		uint32_t seen, now, age;
	} cases[] = {
		{0, 0, 0},
		{0, 1, 1},
		{5, 105, 100},
		{LAST, 0, 1},
		{LAST, LAST, 0},
		{LAST - 1, 5, 7},
		/* another CPU's clock, a little ahead */
		{1, 0, 0},
		{0, LAST, 0},
		{HS_FLOW_TICKS_AHEAD, 0, 0},
		{HS_FLOW_TICKS_AHEAD + 1, 0, LAST - HS_FLOW_TICKS_AHEAD},
		{0, LAST / 2, LAST / 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hs_flow_now then = at(cases[i].seen, 1);

		assert_int_equal(hs_flow_age(hs_flow_word(7, 0, &then), cases[i].now),
				 cases[i].age);
	}
}

static void test_idle(void **state)
{
	static const struct {
		uint32_t seen, now, idle;
		int live;
	} cases[] = {
		{10, 10, 1, 1},	     {10, 11, 1, 0},  {10, 11, 2, 1},  {10, 233, 224, 1},
		{10, 234, 224, 0},   {LAST, 0, 1, 0}, {LAST, 0, 2, 1}, {LAST, 222, 224, 1},
		{LAST, 223, 224, 0}, {10, 10, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hs_flow_now then = at(cases[i].seen, 1);
		struct hs_flow_now now = at(cases[i].now, cases[i].idle);

		assert_int_equal(hs_flow_is_live(hs_flow_word(7, 3, &then), &now), cases[i].live);
	}
}

static void test_epochs(void **state)
{
	struct hs_flow_now now = {.epochs = 0xfedcba9876543210ULL, .tick = 9, .idle = 100};

	(void)state;
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
		uint64_t word = hs_flow_word(mix_of(1), slot, &now);

		assert_int_equal(hs_flow_epoch_of(now.epochs, slot), slot);
		for (unsigned changed = 0; changed < HS_SLOTS_MAX; changed++) {
			struct hs_flow_now later = now;

			later.epochs ^= 1ULL << (4 * changed);
			assert_int_equal(hs_flow_is_live(word, &later), changed != slot);
		}
	}
}

static void test_known_flows_are_found(void **state)
{
	struct hs_flow_bucket bucket = {0};
	struct hs_flow_now now = at(500, 100);

	(void)state;
	assert_int_equal(hs_flow_find(&bucket, mix_of(0)), HS_FLOW_WAYS);
	for (unsigned way = 0; way < HS_FLOW_WAYS; way++)
		bucket.flows[way] = hs_flow_word(mix_of(way), way, &now);
	for (unsigned way = 0; way < HS_FLOW_WAYS; way++)
		assert_int_equal(hs_flow_find(&bucket, mix_of(way)), way);
	assert_int_equal(hs_flow_find(&bucket, mix_of(HS_FLOW_WAYS)), HS_FLOW_WAYS);
	/* of a bucket that is not full, and of prints that differ in one bit */
	bucket.flows[5] = 0;
	assert_int_equal(hs_flow_find(&bucket, mix_of(5)), HS_FLOW_WAYS);
	for (unsigned bit = HS_FLOW_PRINT_POSITION; bit < 64; bit++)
		assert_int_equal(hs_flow_find(&bucket, mix_of(2) ^ 1ULL << bit), HS_FLOW_WAYS);
}

/* Two CPUs may have put a flow into two places: the same one is found and written from then on. */
static void test_of_twins_the_first_is_taken(void **state)
{
	struct hs_flow_bucket bucket = {0};
	struct hs_flow_now old = at(100, 100), now = at(500, 100);

	(void)state;
	bucket.flows[2] = hs_flow_word(mix_of(1), 0, &old);
	bucket.flows[5] = hs_flow_word(mix_of(1), 1, &now);
	assert_int_equal(hs_flow_find(&bucket, mix_of(1)), 2);
	assert_int_equal(hs_flow_way(hs_flow_place(&bucket, mix_of(1), &now)), 2);
}

static void test_places(void **state)
{
	/* ages of the flows in the bucket, ticks; -1 = free, -2 = of an old epoch; the idle time is
	 * 100 */
	static const struct {
		int ages[HS_FLOW_WAYS];
		unsigned way, evicts;
	} cases[] = {
		{{-1, -1, -1, -1, -1, -1, -1, -1}, 0, 0}, {{1, 2, -1, 3, 4, 5, 6, 7}, 2, 0},
		{{1, 2, 3, 4, 5, 6, 7, -1}, 7, 0},	  {{1, 2, 3, 100, 5, 6, 7, 8}, 3, 0},
		{{1, 2, 3, 99, 5, 6, -2, 8}, 6, 0},	  {{1, 2, 3, 99, 5, 6, 7, 8}, 3, 1},
		{{8, 7, 6, 5, 4, 3, 2, 1}, 0, 1},	  {{0, 0, 0, 0, 0, 0, 0, 1}, 7, 1},
		{{0, 0, 0, 0, 0, 0, 0, 0}, 0, 1},	  {{5000, 200, -1, 300, 1, 1, 1, 1}, 0, 0},
	};

	(void)state;
	/* the present at both sides of the wrap */
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		struct hs_flow_now now = at(i & 1 ? 3 : 70000, 100), then = now;
		struct hs_flow_bucket bucket = {0};
		uint32_t place;

		for (unsigned way = 0; way < HS_FLOW_WAYS; way++) {
			int age = cases[i / 2].ages[way];

			then.epochs = age == -2 ? 1 : 0;
			then.tick = (now.tick - MAX(age, 0)) & LAST;
			if (age != -1)
				bucket.flows[way] = hs_flow_word(mix_of(way), 0, &then);
		}
		place = hs_flow_place(&bucket, mix_of(99), &now);
		assert_int_equal(hs_flow_way(place), cases[i / 2].way);
		assert_int_equal(hs_flow_evicts(place), cases[i / 2].evicts);
	}
}

static void test_a_flow_takes_its_own_place_again(void **state)
{
	struct hs_flow_now now = at(1000, 100), then = at(20, 100);
	struct hs_flow_bucket bucket = {0};
	uint32_t place;

	(void)state;
	bucket.flows[4] = hs_flow_word(mix_of(1), 3, &then);
	place = hs_flow_place(&bucket, mix_of(1), &now);
	assert_int_equal(hs_flow_way(place), 4);
	assert_int_equal(hs_flow_evicts(place), 0);
}

/* The least lately seen goes, whatever order they came in. */
static void test_the_order_of_eviction(void **state)
{
	struct hs_flow_now now = at(LAST - 3, 1000);
	struct hs_flow_bucket bucket = {0};

	(void)state;
	for (unsigned n = 0; n < 50; n++) {
		uint32_t place = hs_flow_place(&bucket, mix_of(n), &now);

		assert_int_equal(hs_flow_way(place), n % HS_FLOW_WAYS);
		assert_int_equal(hs_flow_evicts(place), n >= HS_FLOW_WAYS);
		bucket.flows[hs_flow_way(place)] = hs_flow_word(mix_of(n), n % 3, &now);
		now.tick = (now.tick + 1) & LAST;
	}
}

/* Flows that follow each other, as a client's ports do, lie anywhere; one bit of the key moves them
 * all. */
static void test_flows_are_spread_evenly(void **state)
{
	enum { BUCKETS = 1024, FLOWS = BUCKETS * 64 };
	static unsigned counts[BUCKETS];
	double expected = FLOWS / BUCKETS, square = 0;
	unsigned same = 0;

	(void)state;
	memset(counts, 0, sizeof(counts));
	for (uint32_t n = 0; n < FLOWS; n++) {
		struct hs_flow flow = {.hash = 0xc0000000 + n / 64, .sport = 1024 + n % 64};
		uint64_t mix = hs_flow_mix(KEY, &flow);

		counts[mix % BUCKETS]++;
		same += mix % BUCKETS == hs_flow_mix(KEY ^ 1, &flow) % BUCKETS;
	}
	for (unsigned i = 0; i < BUCKETS; i++)
		square += (counts[i] - expected) * (counts[i] - expected) / expected;
	/* chi square of 1023 degrees: six deviations */
	assert_in_range((unsigned)square, 1023 - 6 * 46, 1023 + 6 * 46);
	assert_in_range(same, 0, 3 * FLOWS / BUCKETS);
}

/* The mix is a bijection: another hash or port is another word. */
static void test_prints_differ(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 100000; round++) {
		struct hs_flow a = {.hash = random_number(), .sport = random_number()}, b = a;
		unsigned bit = random_number() % 48;

		if (bit < 32)
			b.hash ^= 1U << bit;
		else
			b.sport ^= 1U << (bit - 32);
		assert_true(hs_flow_mix(KEY, &a) != hs_flow_mix(KEY, &b));
		assert_true(hs_flow_mix(KEY, &a) != hs_flow_mix(KEY + 1, &a));
		assert_true(hs_flow_print(hs_flow_mix(KEY, &a)) != 0);
	}
}

static void test_quic_headers(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 256; byte++)
		assert_int_equal(!!hs_quic_is_long(byte), byte >= 0x80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ticks),
		cmocka_unit_test(test_a_word_keeps_what_it_is_given),
		cmocka_unit_test(test_no_flow_is_a_free_place),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_known_flows_are_found),
		cmocka_unit_test(test_of_twins_the_first_is_taken),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_a_flow_takes_its_own_place_again),
		cmocka_unit_test(test_the_order_of_eviction),
		cmocka_unit_test(test_flows_are_spread_evenly),
		cmocka_unit_test(test_prints_differ),
		cmocka_unit_test(test_quic_headers),
	};

	return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
