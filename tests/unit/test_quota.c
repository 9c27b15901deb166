/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/watch/quota.h: a flood is refused, of many users as well; who asks now and then never is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/watch/quota.h"
#include "util/macro.h"

static const struct quota_limit limit = {.burst_usec = 100 * USEC_PER_MSEC, .ppm = 100000};

/* Asks every `every` for a time. Returns how much was carried out, of calls that cost so much. */
static uint64_t ask(struct quota *quota, uint64_t *now, uint64_t every, uint64_t cost,
		    uint64_t span)
{
	uint64_t had = 0;

	for (uint64_t end = *now + span; *now < end; *now += every)
		if (quota_may(quota, &limit, *now)) {
			quota_charge(quota, cost, *now);
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
	assert_true(quota_may(&quota, &limit, now));
	assert_int_equal(quota.spent_usec, 0);
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
	quota_charge(&quota, 10 * USEC_PER_SEC, now); /* one call that took very long */
	assert_false(quota_may(&quota, &limit, now));
	assert_false(quota_may(&quota, &limit, now + 98 * USEC_PER_SEC));
	assert_true(quota_may(&quota, &limit, now + 100 * USEC_PER_SEC));
	/* a clock that seems to go back does no harm */
	assert_true(quota_may(&quota, &limit, now));
}

/* What nobody asked for in the past is no excuse for what is asked now. */
static void test_long_quiet(void **state)
{
	struct quota quota = {0};

	(void)state;
	quota_charge(&quota, 200 * USEC_PER_MSEC, 100 * USEC_PER_SEC);
	assert_false(quota_may(&quota, &limit, 100 * USEC_PER_SEC));
}

/* ---- many users ---- */

#define FIRST 1000

static struct quotas quotas;
static uint64_t had[5 * QUOTA_USERS_MAX];

static enum quota_answer asks(uint32_t uid, uint64_t now, uint64_t cost)
{
	struct quota_user *user = quotas_user(&quotas, uid, now);
	enum quota_answer answer = quotas_may(&quotas, user, now);

	if (answer == QUOTA_GRANTED)
		quotas_charge(&quotas, user, cost, now);
	return answer;
}

/* `n` users ask for `cost` again and again, for `span`. Beside them, if `modest`, one asks for 1 ms
 * each 200 ms, and is answered always. Returns what all had, each of them in `had`. */
static uint64_t flood_by(unsigned n, uint64_t cost, uint64_t span, bool modest)
{
	uint64_t all = 0, next = 0, start = 77 * USEC_PER_SEC;
	uint64_t step = (n <= 10 ? 2 : 10) * USEC_PER_MSEC;

	quotas = (struct quotas) {0};
	memset(had, 0, sizeof(had));
	for (uint64_t now = start; now < start + span; now += step) {
		for (unsigned i = 0; i < n; i++)
			if (asks(FIRST + i, now, cost) == QUOTA_GRANTED)
				had[i] += cost;
		if (modest && now >= next) {
			assert_int_equal(asks(1, now, USEC_PER_MSEC), QUOTA_GRANTED);
			next = now + 200 * USEC_PER_MSEC;
		}
	}
	for (unsigned i = 0; i < n; i++)
		all += had[i];
	return all;
}

/* Not even three, each of whom may have a tenth, leave others without; nor do many. */
static void test_innocent(void **state)
{
	static const unsigned floods[] = {1, 2, 3, 10, 40};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(floods); i++)
		flood_by(floods[i], USEC_PER_MSEC, 20 * USEC_PER_SEC, true);
}

/* Together they have what there is for all, and hardly more, and each its part of it. */
static void test_shares(void **state)
{
	static const unsigned floods[] = {2, 3, 10, 40, QUOTA_USERS_MAX};
	uint64_t all, n, cost = 200;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(floods); i++) {
		n = floods[i];
		all = flood_by(n, cost, 20 * USEC_PER_SEC, false);
		assert_true(all <= quota_of_all.burst_usec + 4 * USEC_PER_SEC + n * cost);
		assert_true(all >= 35 * USEC_PER_SEC / 10);
		for (unsigned k = 0; k < n; k++)
			assert_true(had[k] >= all / n * 9 / 10 && had[k] <= all / n * 11 / 10);
	}
}

/* One after the other, when those before have had all that was theirs: there is an end to that. */
static void test_ceiling(void **state)
{
	uint64_t all = 0, now = USEC_PER_SEC;
	bool refused = false;

	(void)state;
	quotas = (struct quotas) {0};
	for (unsigned i = 0; i < 4 * QUOTA_USERS_MAX; i++)
		for (enum quota_answer answer = QUOTA_GRANTED; answer == QUOTA_GRANTED; now += 10) {
			answer = asks(FIRST + i, now, 1000);
			all += answer == QUOTA_GRANTED ? 1000 : 0;
			refused |= answer == QUOTA_ALL_SPENT;
		}
	assert_true(refused);
	assert_true(all <= quota_ceiling.burst_usec + (now - USEC_PER_SEC) * 3 / 10 + 1000);
	/* more than can be remembered are no more than that, either */
	all = flood_by(5 * QUOTA_USERS_MAX, 200, 2 * USEC_PER_SEC, false);
	assert_true(all <= quota_ceiling.burst_usec + 6 * USEC_PER_SEC / 10 + 200);
}

static void test_answers(void **state)
{
	uint64_t now = USEC_PER_SEC;

	(void)state;
	quotas = (struct quotas) {0};
	assert_int_equal(asks(1, now, quota_of_user.burst_usec), QUOTA_GRANTED);
	assert_int_equal(asks(1, now, 1), QUOTA_SPENT);
	assert_int_equal(asks(2, now, quota_of_all.burst_usec / 3), QUOTA_GRANTED);
	assert_int_equal(asks(1, now, 1), QUOTA_SPENT);
	/* there are three now */
	assert_int_equal(asks(3, now, quota_of_all.burst_usec / 3), QUOTA_GRANTED);
	assert_int_equal(asks(3, now, 1), QUOTA_SHARE_SPENT);
	assert_int_equal(asks(1, now, 1), QUOTA_SHARE_SPENT);
	assert_int_equal(asks(4, now, 1), QUOTA_ALL_SPENT);
	assert_int_equal(asks(4, now + USEC_PER_SEC / 10, 1), QUOTA_GRANTED);
}

/* A newcomer has a place, that of who has spent least and longest ago; who spends much stays. */
static void test_places(void **state)
{
	uint64_t now = USEC_PER_SEC;

	(void)state;
	quotas = (struct quotas) {0};
	for (unsigned i = 0; i < QUOTA_USERS_MAX; i++)
		quotas_charge(&quotas, quotas_user(&quotas, FIRST + i, now), 5000 + i % 2, now + i);
	now += 500;
	assert_int_equal(quotas_user(&quotas, 1, now)->quota.spent_usec, 0);
	assert_int_equal(quotas_user(&quotas, 2, now)->quota.spent_usec, 0);
	for (unsigned i = 1; i < QUOTA_USERS_MAX; i++)
		assert_int_equal(quotas_user(&quotas, FIRST + i, now)->quota.spent_usec,
				 5000 + i % 2);
}

static void test_payer(void **state)
{
	static const char subuids[] = "games:100000:65536\nno line\n\n1000:165536:10\nx:0:99\n"
				      "y:5\nz:7:\nlast:4294967000:296";
	static const struct {
		uint32_t uid, payer;
	} cases[] = {
		{0, 0},		  {5, 5},	    {7, 7},	      {99, 99},
		{1000, 1000},	  {99999, 99999},   {100000, 100000}, {165535, 100000},
		{165536, 165536}, {165545, 165536}, {165546, 165546}, {4294967295U, 4294967000U},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(quota_payer(subuids, cases[i].uid), cases[i].payer);
	assert_int_equal(quota_payer("", 8), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_now_and_then), cmocka_unit_test(test_flood),
		cmocka_unit_test(test_it_ends),	     cmocka_unit_test(test_long_quiet),
		cmocka_unit_test(test_innocent),     cmocka_unit_test(test_shares),
		cmocka_unit_test(test_ceiling),	     cmocka_unit_test(test_answers),
		cmocka_unit_test(test_places),	     cmocka_unit_test(test_payer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
