// SPDX-License-Identifier: GPL-2.0-or-later
/* Who stands still, and who is full. A test for each row of the table in core/standstill.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/stall.h"
#include "core/standstill.h"

#define MS     USEC_PER_MSEC
#define WINDOW (1000 * MS)

static struct standstill_sample sample_at(unsigned ms)
{
	return (struct standstill_sample) {
		.now = 5000000 + ms * MS, .connections_known = true, .cpu_known = true};
}

/* What is seen stays the same from 0 ms to `ms`. */
static enum standstill_verdict last_of(struct standstill *standstill,
				       struct standstill_sample sample, unsigned ms)
{
	enum standstill_verdict verdict = STANDSTILL_WORKS;
	uint64_t begun = sample.now;

	for (unsigned at = 0; at <= ms; at += 100) {
		sample.now = begun + at * MS;
		verdict = standstill_step(standstill, &sample);
	}
	return verdict;
}

static void each_row(void **state)
{
	static const struct {
		bool halted, known;
		uint64_t accepted, unread;
		enum standstill_verdict verdict;
	} rows[] = {
		{true, true, 0, 0, STANDSTILL_STANDS},	{true, true, 5, 0, STANDSTILL_STANDS},
		{true, true, 5, 5, STANDSTILL_STANDS},	{true, false, 0, 0, STANDSTILL_STANDS},
		{false, true, 0, 0, STANDSTILL_STANDS}, {false, true, 5, 1, STANDSTILL_STANDS},
		{false, true, 5, 0, STANDSTILL_WAITS},	{false, false, 0, 0, STANDSTILL_WAITS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct standstill standstill = {0};
		struct standstill_sample sample = sample_at(0);

		sample.halted = rows[i].halted;
		sample.connections_known = rows[i].known;
		sample.accepted = rows[i].accepted;
		sample.unread = rows[i].unread;
		/* the first one tells nothing */
		assert_int_equal(standstill_step(&standstill, &sample), STANDSTILL_WORKS);
		assert_false(standstill_proven(&standstill, 0));
		assert_int_equal(last_of(&standstill, sample, 900), rows[i].verdict);
		assert_false(standstill_proven(&standstill, WINDOW));
		assert_int_equal(last_of(&standstill, sample, 1000), rows[i].verdict);
		assert_true(standstill_lasts(&standstill, WINDOW));
		assert_int_equal(standstill_proven(&standstill, WINDOW),
				 rows[i].verdict == STANDSTILL_STANDS);
		/* whatever else there is, who moves works; so does who has run */
		sample.now += 1100 * MS;
		sample.mark++;
		assert_int_equal(standstill_step(&standstill, &sample),
				 rows[i].known ? STANDSTILL_WORKS : rows[i].verdict);
		sample.now += 100 * MS;
		sample.cpu += 10 * MS;
		assert_int_equal(standstill_step(&standstill, &sample), STANDSTILL_WORKS);
		assert_false(standstill_lasts(&standstill, WINDOW));
	}
}

static void what_moves_begins_it_anew(void **state)
{
	struct standstill standstill = {0};
	struct standstill_sample sample = sample_at(0);

	(void)state;
	sample.accepted = sample.unread = 1;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(last_of(&standstill, sample, 900), STANDSTILL_STANDS);
		assert_false(standstill_proven(&standstill, WINDOW));
		sample.now += 950 * MS;
		sample.mark++;
	}
	assert_int_equal(last_of(&standstill, sample, 1000), STANDSTILL_STANDS);
	assert_true(standstill_proven(&standstill, WINDOW));
}

static void a_little_housekeeping_is_no_work(void **state)
{
	struct standstill standstill = {0};
	struct standstill_sample sample = sample_at(0);

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		standstill_step(&standstill, &sample);
		sample.now += 100 * MS;
		sample.cpu += 100; /* 1 in 1000 */
	}
	assert_true(standstill_proven(&standstill, WINDOW));
	sample.cpu += 10 * MS;
	assert_int_equal(standstill_step(&standstill, &sample), STANDSTILL_WORKS);
}

/* Since when nothing moves is not since when it was asked for something. */
static void the_time_of_waiting_is_no_time_of_standing(void **state)
{
	struct standstill standstill = {0};
	struct standstill_sample sample = sample_at(0);

	(void)state;
	sample.accepted = 3;
	assert_int_equal(last_of(&standstill, sample, 5000), STANDSTILL_WAITS);
	sample.now += 5100 * MS;
	sample.unread = 1;
	assert_int_equal(last_of(&standstill, sample, 900), STANDSTILL_STANDS);
	assert_false(standstill_proven(&standstill, WINDOW));
	sample.now += 1000 * MS;
	assert_int_equal(standstill_step(&standstill, &sample), STANDSTILL_STANDS);
	assert_true(standstill_proven(&standstill, WINDOW));
}

static void what_is_not_known_is_not_held_against_it(void **state)
{
	struct standstill standstill = {0};
	struct standstill_sample sample = sample_at(0);

	(void)state;
	sample.halted = true;
	sample.cpu_known = false;
	assert_int_equal(last_of(&standstill, sample, 3000), STANDSTILL_WORKS);
	/* nor is a time in which nobody looked, though somebody was to */
	sample = sample_at(4000);
	sample.halted = true;
	standstill_step(&standstill, &sample);
	sample.due = sample.now + 125 * MS;
	sample.now += 2500 * MS;
	assert_int_equal(standstill_step(&standstill, &sample), STANDSTILL_WORKS);
	assert_false(standstill_proven(&standstill, WINDOW));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row),
		cmocka_unit_test(what_moves_begins_it_anew),
		cmocka_unit_test(a_little_housekeeping_is_no_work),
		cmocka_unit_test(the_time_of_waiting_is_no_time_of_standing),
		cmocka_unit_test(what_is_not_known_is_not_held_against_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
