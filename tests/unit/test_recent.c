// SPDX-License-Identifier: GPL-2.0-or-later
/* How many connections came lately, in one word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hs_recent.h"
#include "util/macro.h"

static uint64_t add(uint64_t word, uint32_t period, unsigned times)
{
	while (times-- > 0)
		word = hs_recent_add(word, period);
	return word;
}

static void test_a_period_counts_when_it_is_over(void **state)
{
	uint64_t word = add(0, 7, 5);

	(void)state;
	assert_int_equal(hs_recent_of(word, 7), 0);
	assert_int_equal(hs_recent_of(word, 8), 5);
	assert_int_equal(hs_recent_of(word, 9), 0);
}

static void test_the_next_one_does_not_hide_it(void **state)
{
	uint64_t word = add(add(0, 7, 5), 8, 3);

	(void)state;
	assert_int_equal(hs_recent_of(word, 8), 5);
	assert_int_equal(hs_recent_of(word, 9), 3);
	word = add(word, 10, 1);
	assert_int_equal(hs_recent_of(word, 10), 0);
	assert_int_equal(hs_recent_of(word, 11), 1);
}

static void test_periods_wrap(void **state)
{
	uint64_t word = add(0, HS_RECENT_PERIODS, 4);

	(void)state;
	assert_int_equal(hs_recent_of(word, 0), 4);
	word = add(word, 0, 2);
	assert_int_equal(hs_recent_of(word, 0), 4);
	assert_int_equal(hs_recent_of(word, 1), 2);
	assert_int_equal(hs_recent_period((UINT64_C(1) << (HS_RECENT_SHIFT + 24)) - 1),
			 HS_RECENT_PERIODS);
	assert_int_equal(hs_recent_period(UINT64_C(1) << (HS_RECENT_SHIFT + 24)), 0);
}

static void test_too_many_stay_within_their_bits(void **state)
{
	uint64_t word = add(0, 3, HS_RECENT_MAX + 10);

	(void)state;
	assert_int_equal(hs_recent_of(word, 4), HS_RECENT_MAX);
	word = add(word, 4, HS_RECENT_MAX + 10);
	assert_int_equal(hs_recent_of(word, 4), HS_RECENT_MAX);
	assert_int_equal(hs_recent_of(word, 5), HS_RECENT_MAX);
}

static void test_nothing_was_ever_counted(void **state)
{
	(void)state;
	for (uint32_t period = 0; period < 4; period++)
		assert_int_equal(hs_recent_of(0, period), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_period_counts_when_it_is_over),
		cmocka_unit_test(test_the_next_one_does_not_hide_it),
		cmocka_unit_test(test_periods_wrap),
		cmocka_unit_test(test_too_many_stay_within_their_bits),
		cmocka_unit_test(test_nothing_was_ever_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
