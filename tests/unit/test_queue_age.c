// SPDX-License-Identifier: GPL-2.0-or-later
/* How long connections have waited, from the length of their queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <cmocka.h>

#include "core/watch/queue_age.h"
#include "util/macro.h"

#define TIMEOUT 1000
#define GRAIN	(TIMEOUT / 48) /* all looks of one timeout fit */

static void test_nobody_waits(void **state)
{
	struct queue_age age = {0};

	(void)state;
	queue_age_look(&age, 5, 0, GRAIN);
	assert_int_equal(queue_age_due(&age, 1000000, TIMEOUT), 0);
	assert_int_equal(queue_age_wake(&age, TIMEOUT), USEC_INFINITY);
	queue_age_take(&age, 3);
	assert_int_equal(queue_age_due(&age, 1000000, TIMEOUT), 0);
}

static void test_first_in_first_due(void **state)
{
	struct queue_age age = {0};

	(void)state;
	queue_age_look(&age, 100, 3, GRAIN);
	queue_age_look(&age, 200, 5, GRAIN);
	assert_int_equal(queue_age_wake(&age, TIMEOUT), 1100);
	assert_int_equal(queue_age_due(&age, 1099, TIMEOUT), 0);
	assert_int_equal(queue_age_due(&age, 1100, TIMEOUT), 3);
	queue_age_take(&age, 2);
	assert_int_equal(queue_age_due(&age, 1100, TIMEOUT), 1);
	queue_age_take(&age, 1);
	assert_int_equal(queue_age_due(&age, 1199, TIMEOUT), 0);
	assert_int_equal(queue_age_wake(&age, TIMEOUT), 1200);
	assert_int_equal(queue_age_due(&age, 1200, TIMEOUT), 2);
}

static void test_others_take_from_the_head(void **state)
{
	struct queue_age age = {0};

	(void)state;
	queue_age_look(&age, 100, 10, GRAIN);
	queue_age_look(&age, 200, 4, GRAIN);
	assert_int_equal(queue_age_due(&age, 1100, TIMEOUT), 4);
	queue_age_look(&age, 300, 0, GRAIN);
	assert_int_equal(queue_age_wake(&age, TIMEOUT), USEC_INFINITY);
	queue_age_look(&age, 400, 1, GRAIN);
	assert_int_equal(queue_age_wake(&age, TIMEOUT), 1400);
}

/* Taken as one, they are due with the last of them, never earlier. */
static void test_a_grain_is_one(void **state)
{
	struct queue_age age = {0};

	(void)state;
	for (unsigned i = 0; i <= GRAIN; i++)
		queue_age_look(&age, 100 + i, 1 + i, GRAIN);
	assert_int_equal(age.n, 1);
	assert_int_equal(queue_age_due(&age, 100 + TIMEOUT, TIMEOUT), 0);
	assert_int_equal(queue_age_due(&age, 100 + GRAIN + TIMEOUT, TIMEOUT), GRAIN + 1);
	queue_age_look(&age, 100 + GRAIN + 1, 2 + GRAIN, GRAIN);
	assert_int_equal(age.n, 2);
}

/* Whatever happens, nobody is due too early, and everybody some time. */
static void test_never_too_early(void **state)
{
	enum { STEPS = 20000 };
	static uint64_t arrived_at[STEPS];
	struct queue_age age = {0};
	unsigned head = 0, tail = 0;

	(void)state;
	srandom(1);
	for (uint64_t now = 1; now < STEPS; now += 1 + random() % 7) {
		unsigned due;

		for (long n = random() % 3; n > 0 && tail < STEPS; n--)
			arrived_at[tail++] = now;
		queue_age_look(&age, now, tail - head, GRAIN);
		due = queue_age_due(&age, now, TIMEOUT);
		assert_true(due <= tail - head);
		for (unsigned i = 0; i < due; i++)
			assert_true(arrived_at[head + i] + TIMEOUT <= now);
		/* and not much later than it must */
		if (head + due < tail)
			assert_true(arrived_at[head + due] + TIMEOUT + 4 * GRAIN + 7 > now ||
				    age.n == QUEUE_LOOKS_MAX);
		queue_age_take(&age, due);
		head += due;
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_waits),
		cmocka_unit_test(test_first_in_first_due),
		cmocka_unit_test(test_others_take_from_the_head),
		cmocka_unit_test(test_a_grain_is_one),
		cmocka_unit_test(test_never_too_early),
	};

	return cmocka_run_group_tests_name("queue_age", tests, NULL, NULL);
}
