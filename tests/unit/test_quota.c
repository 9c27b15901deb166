/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/watch/quota.h: a flood is refused, who asks now and then never is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/watch/quota.h"
#include "util/macro.h"

static const struct quota_limit limit = {.burst_usec = 100 * USEC_PER_MSEC, .percent = 10};

/* Asks every `every` for a time. Returns how much was carried out, of calls that cost so much. */
static uint64_t ask(struct quota *quota, uint64_t *now, uint64_t every, uint64_t cost,
		    uint64_t span)
{
	uint64_t had = 0;

	for (uint64_t end = *now + span; *now < end; *now += every)
		if (quota_may(quota, &limit, *now)) {
			quota_charge(quota, cost);
			had += cost;
		}
	return had;
}

static void test_now_and_then(void **state)
{
	struct quota quota = {0};
	uint64_t now = 5;

	(void)state;
	/* 9 ms each 100 ms is below a tenth */
	assert_int_equal(
		ask(&quota, &now, 100 * USEC_PER_MSEC, 9 * USEC_PER_MSEC, 60 * USEC_PER_SEC),
		600 * 9 * USEC_PER_MSEC);
	assert_true(quota_is_full(&quota, &limit, now));
}

static void test_flood(void **state)
{
	static const uint64_t costs[] = {20, 300, 5000, 40000}, spans[] = {7, 50, 333, 20000};
	uint64_t had;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(costs); i++)
		for (size_t k = 0; k < ARRAY_SIZE(spans); k++) {
			struct quota quota = {0};
			uint64_t now = 1;

			/* the burst, a tenth of the time, and one call more */
			had = ask(&quota, &now, spans[k], costs[i], 10 * USEC_PER_SEC);
			assert_true(had <= limit.burst_usec + USEC_PER_SEC + costs[i]);
			if (costs[i] / spans[k] >= 1)
				assert_true(had >= limit.burst_usec + 9 * USEC_PER_SEC / 10);
		}
}

static void test_it_ends(void **state)
{
	struct quota quota = {0};
	uint64_t now = 1;

	(void)state;
	quota_charge(&quota, 10 * USEC_PER_SEC); /* one call that took very long */
	assert_false(quota_may(&quota, &limit, now));
	assert_false(quota_may(&quota, &limit, now + 98 * USEC_PER_SEC));
	assert_true(quota_may(&quota, &limit, now + 100 * USEC_PER_SEC));
	/* a clock that seems to go back does no harm */
	assert_true(quota_may(&quota, &limit, now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_now_and_then),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
