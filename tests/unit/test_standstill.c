// SPDX-License-Identifier: GPL-2.0-or-later
/* Who stands still, and who is full. A test for each row of the table in
 * core/watch/standstill.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/watch/stall.h"
#include "core/watch/standstill.h"

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

static bool is_over(const struct standstill *standstill, uint64_t patience)
{
	struct standstill_limits limits = {.stall = WINDOW, .patience = patience};

	return standstill_is_over(standstill, &limits);
}

static void each_row(void **state)
{
	static const struct {
		enum halt halt;
		bool known;
		uint64_t accepted, unread;
		enum standstill_verdict verdict;
		enum standstill_kind kind;
		bool over; /* when it has lasted */
	} rows[] = {
		{HALT_HELD, true, 0, 0, STANDSTILL_HELD, STANDSTILL_IS_FROZEN, false},
		{HALT_HELD, true, 5, 5, STANDSTILL_HELD, STANDSTILL_IS_FROZEN, false},
		{HALT_STOPPED, true, 0, 0, STANDSTILL_STOPPED, STANDSTILL_HANGS, true},
		{HALT_STOPPED, true, 5, 0, STANDSTILL_STOPPED, STANDSTILL_HANGS, true},
		{HALT_STOPPED, true, 5, 5, STANDSTILL_STOPPED, STANDSTILL_HANGS, true},
		{HALT_STOPPED, false, 0, 0, STANDSTILL_STOPPED, STANDSTILL_HANGS, true},
		{HALT_NONE, true, 0, 0, STANDSTILL_STANDS, STANDSTILL_HANGS, true},
		{HALT_NONE, true, 5, 1, STANDSTILL_STANDS, STANDSTILL_HANGS, true},
		{HALT_NONE, true, 5, 0, STANDSTILL_WAITS, STANDSTILL_IS_FULL, false},
		{HALT_NONE, false, 0, 0, STANDSTILL_WAITS, STANDSTILL_IS_FULL, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct standstill standstill = {0};
		struct standstill_sample sample = sample_at(0);

		sample.halt = rows[i].halt;
		sample.connections_known = rows[i].known;
		sample.accepted = rows[i].accepted;
		sample.unread = rows[i].unread;
		/* the first one tells nothing */
		assert_int_equal(standstill_step(&standstill, &sample), STANDSTILL_WORKS);
		assert_false(is_over(&standstill, 0));
		assert_int_equal(last_of(&standstill, sample, 900), rows[i].verdict);
		assert_int_equal(standstill_kind(&standstill), rows[i].kind);
		assert_false(is_over(&standstill, 0));
		assert_int_equal(last_of(&standstill, sample, 1000), rows[i].verdict);
		assert_true(standstill_lasts(&standstill, WINDOW));
		assert_int_equal(is_over(&standstill, 0), rows[i].over);
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

/* A pause of the runtime, or a request that is read as it is needed, is no end. */
static void only_what_lasts_is_over(void **state)
{
	struct standstill standstill = {0};
	struct standstill_sample sample = sample_at(0);

	(void)state;
	sample.accepted = sample.unread = 3;
	assert_int_equal(last_of(&standstill, sample, 29900), STANDSTILL_STANDS);
	assert_false(is_over(&standstill, 30 * WINDOW));
	assert_int_equal(last_of(&standstill, sample, 30000), STANDSTILL_STANDS);
	assert_true(is_over(&standstill, 30 * WINDOW));
	/* whoever is stopped has no such time */
	sample.now += 30100 * MS;
	sample.halt = HALT_STOPPED;
	assert_int_equal(last_of(&standstill, sample, 900), STANDSTILL_STOPPED);
	assert_false(is_over(&standstill, 30 * WINDOW));
	assert_int_equal(last_of(&standstill, sample, 1000), STANDSTILL_STOPPED);
	assert_true(is_over(&standstill, 30 * WINDOW));
}

/* One worker is stopped, the others work: it hangs, if in part, and is not over. */
static void a_stopped_worker_is_no_full_server(void **state)
{
	struct standstill standstill = {0};
	struct standstill_sample sample = sample_at(0);

	(void)state;
	sample.halt = HALT_STOPPED;
	for (unsigned i = 0; i < 50; i++) {
		sample.now += 100 * MS;
		sample.mark++;
		assert_int_equal(standstill_step(&standstill, &sample), STANDSTILL_WORKS);
	}
	assert_int_equal(standstill_kind(&standstill), STANDSTILL_HANGS);
	assert_false(is_over(&standstill, 0));
}

/* It is let go on, and is stuck all the same: that begins now. */
static void the_time_of_a_freeze_does_not_count(void **state)
{
	struct standstill standstill = {0};
	struct standstill_sample sample = sample_at(0);

	(void)state;
	sample.accepted = sample.unread = 3;
	sample.halt = HALT_HELD;
	assert_int_equal(last_of(&standstill, sample, 10000), STANDSTILL_HELD);
	assert_false(is_over(&standstill, 0));
	sample.now += 10100 * MS;
	sample.halt = HALT_NONE;
	assert_int_equal(last_of(&standstill, sample, 900), STANDSTILL_STANDS);
	assert_false(is_over(&standstill, 0));
}

static void what_moves_begins_it_anew(void **state)
{
	struct standstill standstill = {0};
	struct standstill_sample sample = sample_at(0);

	(void)state;
	sample.accepted = sample.unread = 1;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(last_of(&standstill, sample, 900), STANDSTILL_STANDS);
		assert_false(is_over(&standstill, WINDOW));
		sample.now += 950 * MS;
		sample.mark++;
	}
	assert_int_equal(last_of(&standstill, sample, 1000), STANDSTILL_STANDS);
	assert_true(is_over(&standstill, WINDOW));
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
	assert_true(is_over(&standstill, WINDOW));
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
	assert_false(is_over(&standstill, WINDOW));
	sample.now += 1000 * MS;
	assert_int_equal(standstill_step(&standstill, &sample), STANDSTILL_STANDS);
	assert_true(is_over(&standstill, WINDOW));
}

static void what_is_not_known_is_not_held_against_it(void **state)
{
	struct standstill standstill = {0};
	struct standstill_sample sample = sample_at(0);

	(void)state;
	sample.halt = HALT_STOPPED;
	sample.cpu_known = false;
	assert_int_equal(last_of(&standstill, sample, 3000), STANDSTILL_WORKS);
	assert_false(is_over(&standstill, 0));
}

/* Though somebody was to look: now and then a busy machine is late, too, and begins nothing anew.
 */
static void a_time_in_which_nobody_looked_does_not_count(void **state)
{
	struct standstill standstill = {0};
	struct standstill_sample sample = sample_at(0);

	(void)state;
	sample.halt = HALT_STOPPED;
	assert_int_equal(last_of(&standstill, sample, 500), STANDSTILL_STOPPED);
	sample.due = 5000000 + 600 * MS;
	sample.now = sample.due + 2500 * MS;
	assert_int_equal(standstill_step(&standstill, &sample), STANDSTILL_STOPPED);
	assert_false(is_over(&standstill, 0));
	sample.due = sample.now = sample.now + (399 * MS - STALL_LATE_MAX);
	standstill_step(&standstill, &sample);
	assert_false(is_over(&standstill, 0));
	sample.due = sample.now = sample.now + 1 * MS;
	standstill_step(&standstill, &sample);
	assert_true(is_over(&standstill, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row),
		cmocka_unit_test(only_what_lasts_is_over),
		cmocka_unit_test(a_stopped_worker_is_no_full_server),
		cmocka_unit_test(the_time_of_a_freeze_does_not_count),
		cmocka_unit_test(what_moves_begins_it_anew),
		cmocka_unit_test(a_little_housekeeping_is_no_work),
		cmocka_unit_test(the_time_of_waiting_is_no_time_of_standing),
		cmocka_unit_test(what_is_not_known_is_not_held_against_it),
		cmocka_unit_test(a_time_in_which_nobody_looked_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
