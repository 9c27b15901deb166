// SPDX-License-Identifier: GPL-2.0-or-later
/* The upgrade slot by slot as a state machine: the way through, each way out, and that it always
 * ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/change/rolling.h"
#include "util/clock.h"
#include "util/macro.h"

#define S USEC_PER_SEC

static const struct rolling_plan whole = {
	.slots = 0x15, /* 0, 2, 4 */
	.smoke = true,
	.settle_usec = 1 * S,
	.drain_usec = 30 * S,
	.ready_usec = 90 * S,
	.smoke_usec = 60 * S,
	.probation_usec = 20 * S,
};

static unsigned send(struct rolling *r, enum rolling_event event, uint64_t now)
{
	struct rolling_input input = {.event = event, .now = now, .left = 1};

	return rolling_step(r, &input);
}

static unsigned look(struct rolling *r, uint64_t now, bool ready, uint64_t left)
{
	struct rolling_input input = {.event = ROLLING_LOOK,
				      .now = now,
				      .ready = ready,
				      .lost = !ready,
				      .left = left,
				      .why = ready ? NULL : "it is gone"};

	return rolling_step(r, &input);
}

/* Brings a fresh one to this state of its first slot. */
static struct rolling at(const struct rolling_plan *plan, enum rolling_state state)
{
	struct rolling r;

	rolling_init(&r, plan);
	send(&r, ROLLING_BEGIN, 0);
	if (r.state != state)
		look(&r, rolling_wake(&r), true, 1);
	if (r.state != state)
		look(&r, 2 * S, true, 0);
	if (r.state != state)
		send(&r, ROLLING_JOB_DONE, 3 * S);
	if (r.state != state)
		look(&r, 4 * S, true, 0);
	if (r.state != state)
		send(&r, ROLLING_SMOKE_DONE, 5 * S);
	assert_int_equal(r.state, state);
	return r;
}

static void the_way_through(void **state)
{
	static const unsigned order[] = {0, 2, 4};
	struct problem sentence;
	struct rolling r;
	unsigned actions;
	uint64_t now = 0;

	(void)state;
	rolling_init(&r, &whole);
	actions = send(&r, ROLLING_BEGIN, now);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		assert_int_equal(rolling_slot(&r), order[i]);
		assert_int_equal(r.state, ROLLING_LEAVE);
		assert_true(actions & ROLLING_DO_HOLD);
		/* also without connections its clients get time to be elsewhere */
		assert_int_equal(look(&r, now, true, 0), 0);
		now = rolling_wake(&r);
		look(&r, now, true, 2);
		assert_int_equal(r.state, ROLLING_DRAIN);
		assert_int_equal(look(&r, ++now, true, 1), 0);
		assert_true(look(&r, ++now, true, 0) & ROLLING_DO_RESTART);
		assert_int_equal(look(&r, ++now, true, 0), 0);
		send(&r, ROLLING_JOB_DONE, ++now);
		assert_int_equal(look(&r, ++now, false, 0), 0);
		assert_true(look(&r, ++now, true, 0) & ROLLING_DO_SMOKE);
		assert_true(send(&r, ROLLING_SMOKE_DONE, ++now) & ROLLING_DO_RELEASE);
		assert_int_equal(r.state, ROLLING_PROBATION);
		assert_int_equal(look(&r, ++now, true, 5), 0);
		now = rolling_wake(&r);
		actions = look(&r, now, true, 5);
	}
	assert_int_equal(r.state, ROLLING_DONE);
	assert_true(actions & ROLLING_DO_END);
	assert_int_equal(r.upgraded, 3);
	rolling_describe(&r, "app", now, &sentence);
	assert_non_null(strstr(sentence.text, "all 3 that run have the new version"));
}

static void check_put_out(const struct rolling *r, unsigned actions, enum rolling_state in)
{
	assert_int_equal(r->state, ROLLING_UNDONE);
	assert_int_equal(r->failed_in, in);
	assert_true(actions & ROLLING_DO_PUT_OUT);
	assert_false(actions & ROLLING_DO_RELEASE);
	assert_true(actions & ROLLING_DO_END);
	assert_false(r->kept);
}

static void what_fails_is_put_out_and_the_rest_left_alone(void **state)
{
	struct problem sentence;
	struct rolling r;

	(void)state;
	r = at(&whole, ROLLING_RESTART);
	check_put_out(&r, send(&r, ROLLING_JOB_FAILED, 4 * S), ROLLING_RESTART);
	r = at(&whole, ROLLING_RESTART);
	check_put_out(&r, look(&r, rolling_wake(&r), false, 0), ROLLING_RESTART);
	r = at(&whole, ROLLING_READY);
	check_put_out(&r, look(&r, rolling_wake(&r), false, 0), ROLLING_READY);
	r = at(&whole, ROLLING_SMOKE);
	check_put_out(&r, send(&r, ROLLING_SMOKE_FAILED, 6 * S), ROLLING_SMOKE);
	r = at(&whole, ROLLING_SMOKE);
	check_put_out(&r, look(&r, 6 * S, false, 0), ROLLING_SMOKE);
	r = at(&whole, ROLLING_SMOKE);
	check_put_out(&r, look(&r, rolling_wake(&r), true, 0), ROLLING_SMOKE);
	r = at(&whole, ROLLING_PROBATION);
	check_put_out(&r, look(&r, 7 * S, false, 0), ROLLING_PROBATION);
	assert_int_equal(r.upgraded, 0);
	rolling_describe(&r, "app", 8 * S, &sentence);
	assert_non_null(strstr(sentence.text, "undone at slot 0"));
	assert_non_null(strstr(sentence.text, "systemctl restart app@0"));
	assert_non_null(strstr(sentence.text, "2 behind it left alone"));
	r = at(&whole, ROLLING_READY);
	look(&r, rolling_wake(&r), false, 0);
	rolling_describe(&r, "app", 8 * S, &sentence);
	assert_non_null(strstr(sentence.text, "is out of service"));
	assert_non_null(strstr(sentence.text, "systemctl restart app@0"));
}

/* Nobody wants it tested, so there is nothing against it once it is ready. */
static void what_is_only_late_comes_back(void **state)
{
	struct rolling_plan plan = whole;
	struct problem sentence;
	struct rolling r;

	(void)state;
	plan.smoke = false;
	for (unsigned in = ROLLING_RESTART; in <= ROLLING_READY; in++) {
		unsigned actions;

		r = at(&plan, in);
		actions = look(&r, rolling_wake(&r), false, 0);
		assert_int_equal(r.state, ROLLING_UNDONE);
		assert_true(actions & ROLLING_DO_RELEASE);
		assert_false(actions & ROLLING_DO_PUT_OUT);
		rolling_describe(&r, "app", 8 * S, &sentence);
		assert_non_null(strstr(sentence.text, "with the others until it is ready"));
	}
	/* one that was ready, and is not well */
	r = at(&plan, ROLLING_PROBATION);
	check_put_out(&r, look(&r, 7 * S, false, 0), ROLLING_PROBATION);
}

static void a_cancel_keeps_what_is_well(void **state)
{
	struct rolling r;
	unsigned actions;

	(void)state;
	for (unsigned in = ROLLING_LEAVE; in <= ROLLING_PROBATION; in++) {
		r = at(&whole, in);
		actions = send(&r, ROLLING_CANCEL, 9 * S);
		assert_int_equal(r.state, ROLLING_UNDONE);
		if (in >= ROLLING_RESTART && in < ROLLING_PROBATION)
			assert_true(actions & ROLLING_DO_PUT_OUT);
		else
			assert_true(actions & ROLLING_DO_RELEASE);
	}
}

static void what_cannot_leave_fails(void **state)
{
	struct rolling r = at(&whole, ROLLING_LEAVE);
	struct problem sentence;

	(void)state;
	assert_int_equal(send(&r, ROLLING_NOT_LEFT, 1), ROLLING_DO_TELL | ROLLING_DO_END);
	assert_int_equal(r.state, ROLLING_FAILED);
	rolling_describe(&r, "app", 8 * S, &sentence);
	assert_non_null(strstr(sentence.text, "failed at slot 0"));
}

static void without_a_test_it_is_left_out(void **state)
{
	struct rolling_plan plan = whole;
	struct rolling r;

	(void)state;
	plan.smoke = false;
	r = at(&plan, ROLLING_READY);
	assert_true(look(&r, 4 * S, true, 0) & ROLLING_DO_RELEASE);
	assert_int_equal(r.state, ROLLING_PROBATION);
}

static struct rolling resumed(bool smoke, enum rolling_state in, bool ready, unsigned *ret_actions)
{
	struct rolling_plan plan = whole;
	struct rolling r;

	plan.smoke = smoke;
	rolling_init(&r, &plan);
	*ret_actions = rolling_resume(&r, 2, in, ready, 100 * S);
	return r;
}

static void one_that_was_left_goes_on_or_ends(void **state)
{
	struct rolling r;
	unsigned actions;

	(void)state;
	r = resumed(true, ROLLING_DRAIN, true, &actions);
	assert_true(r.state == ROLLING_UNDONE && actions & ROLLING_DO_RELEASE);
	assert_int_equal(r.upgraded, 1);
	assert_int_equal(r.to_come, 0x10);
	/* nobody knows the test any more */
	r = resumed(true, ROLLING_READY, true, &actions);
	assert_true(r.state == ROLLING_UNDONE && actions & ROLLING_DO_PUT_OUT);
	r = resumed(false, ROLLING_RESTART, false, &actions);
	assert_int_equal(r.state, ROLLING_READY);
	assert_true(look(&r, 101 * S, true, 0) & ROLLING_DO_RELEASE);
	r = resumed(true, ROLLING_PROBATION, true, &actions);
	assert_int_equal(r.state, ROLLING_LEAVE);
	assert_int_equal(r.slot, 4);
	assert_int_equal(r.upgraded, 2);
	r = resumed(false, ROLLING_PROBATION, false, &actions);
	assert_true(r.state == ROLLING_UNDONE && actions & ROLLING_DO_PUT_OUT);
}

/* Whatever is sent, in whatever order: it comes to an end, and does nothing behind it. */
static void it_always_ends(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed < 500; seed++) {
		struct rolling r;
		uint64_t now = 0;

		srand(seed);
		rolling_init(&r, &whole);
		send(&r, ROLLING_BEGIN, now);
		for (unsigned i = 0; i < 2000 && !rolling_ended(&r); i++) {
			struct rolling_input input = {
				.event = (enum rolling_event)(ROLLING_JOB_DONE + rand() % 4),
				.ready = rand() % 4,
				.lost = !(rand() % 50),
				.left = (uint64_t)(rand() % 3),
			};

			now = rand() % 8 ? now + 1 : MAX(now, rolling_wake(&r));
			input.now = now;
			(void)rolling_step(&r, &input);
		}
		assert_true(rolling_ended(&r));
		assert_true(rolling_wake(&r) == USEC_INFINITY);
		assert_int_equal(send(&r, ROLLING_CANCEL, now), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_way_through),
		cmocka_unit_test(what_fails_is_put_out_and_the_rest_left_alone),
		cmocka_unit_test(what_is_only_late_comes_back),
		cmocka_unit_test(a_cancel_keeps_what_is_well),
		cmocka_unit_test(what_cannot_leave_fails),
		cmocka_unit_test(without_a_test_it_is_left_out),
		cmocka_unit_test(one_that_was_left_goes_on_or_ends),
		cmocka_unit_test(it_always_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
