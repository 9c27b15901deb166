// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The drain's state machine: each scenario is a list of looks with what must follow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/change/drain.h"
#include "util/macro.h"

#define S USEC_PER_SEC

#define LEAVE	DRAIN_DO_LEAVE
#define EXAMINE DRAIN_DO_EXAMINE
#define TELL	DRAIN_DO_TELL
#define END	DRAIN_DO_END
#define STOP	DRAIN_DO_STOP

struct step {
	enum drain_event event;
	uint64_t now;
	bool is_out;
	uint64_t left;
	unsigned actions;
	enum drain_state state;
};

static struct drain run(unsigned at_deadline, const struct step *steps, size_t n)
{
	struct drain_plan plan = {.slot = 1, .patience_usec = 60 * S, .at_deadline = at_deadline};
	struct drain_input first = {.left = 5};
	struct drain d;

	assert_int_equal(drain_begin(&d, &plan, &first), LEAVE | TELL);
	for (size_t i = 0; i < n; i++) {
		struct drain_input input = {
			.event = steps[i].event,
			.now = steps[i].now,
			.is_leaving = !steps[i].is_out && d.state == DRAIN_LEAVE,
			.is_out = steps[i].is_out,
			.left = steps[i].left,
			.reset = 2,
			.failure = "it failed",
		};
		unsigned actions = drain_step(&d, &input);

		if (actions != steps[i].actions || d.state != steps[i].state)
			print_error("at step %zu\n", i);
		assert_int_equal(actions, steps[i].actions);
		assert_int_equal(d.state, steps[i].state);
	}
	return d;
}

#define RUN(at_deadline, steps) run(at_deadline, steps, ARRAY_SIZE(steps))

static void expect(const struct drain *d, const char *sentence)
{
	struct drain_rest rest = {.details = " Details."};
	struct problem said = {0};

	drain_describe(d, "web", &rest, &said);
	assert_string_equal(said.text, sentence);
}

static void ends_with_the_last_connection(void **state)
{
	static const struct step steps[] = {
		{DRAIN_LOOK, 1 * S, false, 5, 0, DRAIN_LEAVE},
		{DRAIN_LOOK, 2 * S, true, 5, TELL, DRAIN_WAIT},
		/* nothing new */
		{DRAIN_LOOK, 2 * S + 1, true, 5, 0, DRAIN_WAIT},
		{DRAIN_LOOK, 2 * S + 2, true, 4, TELL, DRAIN_WAIT},
		/* but the time that is left */
		{DRAIN_LOOK, 4 * S, true, 4, TELL, DRAIN_WAIT},
		{DRAIN_LOOK, 5 * S, true, 0, TELL | END, DRAIN_DONE},
		{DRAIN_LOOK, 6 * S, true, 0, 0, DRAIN_DONE},
	};
	struct drain d = RUN(STOP, steps);

	(void)state;
	assert_string_equal(drain_outcome(&d), "drained");
	assert_int_equal(drain_wake(&d, 6 * S), USEC_INFINITY);
	expect(&d, "web: slot 1 has no connection left (5 finished). Stop it with systemctl stop "
		   "web@1, or take it back with hsctl adopt web@1.service.");
}

static void without_any_there_is_nothing_to_tell(void **state)
{
	static const struct step steps[] = {
		{DRAIN_LOOK, 1, true, 0, TELL | END, DRAIN_DONE},
	};

	(void)state;
	RUN(STOP, steps);
}

static void what_is_left_is_ended_at_the_deadline(void **state)
{
	static const struct step steps[] = {
		{DRAIN_LOOK, 2 * S, true, 5, TELL, DRAIN_WAIT},
		{DRAIN_LOOK, 60 * S, true, 3, EXAMINE | TELL | STOP, DRAIN_FINISH},
		/* too late */
		{DRAIN_CANCEL, 61 * S, true, 3, 0, DRAIN_FINISH},
		{DRAIN_LOOK, 61 * S, true, 3, 0, DRAIN_FINISH},
		{DRAIN_ENDED, 62 * S, true, 0, TELL | END, DRAIN_DONE},
	};
	struct drain d = RUN(STOP, steps);

	(void)state;
	assert_string_equal(drain_outcome(&d), "stopped");
	expect(&d, "web: at the deadline 3 connections were left on slot 1; it was stopped. "
		   "Details.");
	d = RUN(DRAIN_DO_RESET, ((struct step[]) {
					{DRAIN_LOOK, 2 * S, true, 5, TELL, DRAIN_WAIT},
					{DRAIN_LOOK, 60 * S, true, 3,
					 EXAMINE | TELL | DRAIN_DO_RESET, DRAIN_FINISH},
					{DRAIN_ENDED, 62 * S, true, 1, TELL | END, DRAIN_DONE},
				}));
	assert_string_equal(drain_outcome(&d), "reset");
	expect(&d, "web: at the deadline 2 connections of slot 1 were reset. Details.");
}

static void leaves_when_it_is_not_busy(void **state)
{
	struct drain_plan plan = {.slot = 1, .patience_usec = 60 * S};
	struct drain_input input = {.left = 5, .is_busy = true};
	struct drain d;

	(void)state;
	assert_int_equal(drain_begin(&d, &plan, &input), TELL);
	input.now = 1;
	assert_int_equal(drain_step(&d, &input), 0);
	input.is_busy = false;
	assert_int_equal(drain_step(&d, &input), LEAVE);
	input.is_leaving = true;
	assert_int_equal(drain_step(&d, &input), 0);
}

static void or_kept(void **state)
{
	static const struct step steps[] = {
		{DRAIN_LOOK, 2 * S, true, 5, TELL, DRAIN_WAIT},
		{DRAIN_LOOK, 60 * S, true, 3, EXAMINE | TELL | END, DRAIN_DONE},
	};
	struct drain d = RUN(0, steps);

	(void)state;
	assert_string_equal(drain_outcome(&d), "kept");
	expect(&d, "web: at the deadline 3 connections are left on slot 1; they go on "
		   "(DrainEnd=keep). Details.");
}

static void one_that_is_taken_back_ends_it(void **state)
{
	static const struct step steps[] = {
		{DRAIN_LOOK, 2 * S, true, 5, TELL, DRAIN_WAIT},
		{DRAIN_LOOK, 3 * S, false, 4, TELL | END, DRAIN_UNDONE},
	};
	struct drain d = RUN(STOP, steps);

	(void)state;
	expect(&d, "web: slot 1 is in service, so it is drained no more; it has 4 connections");
}

static void who_interrupts_is_told_how_to_go_back(void **state)
{
	static const struct step steps[] = {
		{DRAIN_LOOK, 2 * S, true, 5, TELL, DRAIN_WAIT},
		{DRAIN_CANCEL, 3 * S, true, 4, TELL | END, DRAIN_FAILED},
	};
	struct drain d = RUN(STOP, steps);

	(void)state;
	expect(&d, "interrupted; slot 1 of web stays out of service with 5 connections; back with: "
		   "hsctl adopt web@1.service");
}

static void each_wait_has_an_end(void **state)
{
	static const struct step never_leaves[] = {
		{DRAIN_LOOK, 9 * S, false, 5, 0, DRAIN_LEAVE},
		{DRAIN_LOOK, 10 * S, false, 5, TELL | END, DRAIN_FAILED},
	};
	static const struct step never_stops[] = {
		{DRAIN_LOOK, 2 * S, true, 5, TELL, DRAIN_WAIT},
		{DRAIN_LOOK, 60 * S, true, 3, EXAMINE | TELL | STOP, DRAIN_FINISH},
		{DRAIN_LOOK, 700 * S, true, 3, TELL | END, DRAIN_FAILED},
	};
	static const struct step cannot_be_stopped[] = {
		{DRAIN_LOOK, 2 * S, true, 5, TELL, DRAIN_WAIT},
		{DRAIN_LOOK, 60 * S, true, 3, EXAMINE | TELL | STOP, DRAIN_FINISH},
		{DRAIN_NOT_ENDED, 61 * S, true, 3, TELL | END, DRAIN_FAILED},
	};
	struct drain d = RUN(STOP, never_leaves);

	(void)state;
	expect(&d, "web: the drain of slot 1 failed: leaving it took too long");
	RUN(STOP, never_stops);
	d = RUN(STOP, cannot_be_stopped);
	expect(&d, "web: the drain of slot 1 failed: it failed");
}

static void progress_tells_pace_and_deadline(void **state)
{
	static const struct step steps[] = {
		{DRAIN_LOOK, 2 * S, true, 5, TELL, DRAIN_WAIT},
		{DRAIN_LOOK, 20 * S, true, 3, TELL, DRAIN_WAIT},
	};
	struct drain d = RUN(STOP, steps);
	struct problem line = {0};

	(void)state;
	drain_progress(&d, 20 * S, &line);
	assert_string_equal(line.text,
			    "drain: 3 connections left on slot 1, about 30s at this pace, "
			    "deadline in 40s");
	assert_string_equal(drain_step_name(&d), "drain");
	assert_true(drain_wake(&d, 20 * S) > 20 * S && drain_wake(&d, 20 * S) < 21 * S);
}

static void goes_on_where_another_has_left_it(void **state)
{
	struct drain_plan plan = {.slot = 1, .patience_usec = 2 * S, .at_deadline = STOP};
	struct drain_input input = {.now = 9 * S, .is_out = true, .left = 3};
	struct drain d;

	(void)state;
	assert_int_equal(drain_resume(&d, &plan, &input), TELL);
	assert_int_equal(d.state, DRAIN_WAIT);
	assert_int_equal(d.deadline, 11 * S);
	/* the deadline has passed meanwhile */
	plan.patience_usec = 0;
	assert_int_equal(drain_resume(&d, &plan, &input), EXAMINE | TELL | STOP);
	assert_int_equal(d.state, DRAIN_FINISH);
	input.left = 0;
	assert_int_equal(drain_resume(&d, &plan, &input), TELL | END);
	assert_int_equal(d.state, DRAIN_DONE);
	/* somebody has taken it back */
	input = (struct drain_input) {.now = 9 * S, .left = 3};
	assert_int_equal(drain_resume(&d, &plan, &input), TELL | END);
	assert_int_equal(d.state, DRAIN_UNDONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_with_the_last_connection),
		cmocka_unit_test(without_any_there_is_nothing_to_tell),
		cmocka_unit_test(what_is_left_is_ended_at_the_deadline),
		cmocka_unit_test(or_kept),
		cmocka_unit_test(leaves_when_it_is_not_busy),
		cmocka_unit_test(one_that_is_taken_back_ends_it),
		cmocka_unit_test(who_interrupts_is_told_how_to_go_back),
		cmocka_unit_test(each_wait_has_an_end),
		cmocka_unit_test(progress_tells_pace_and_deadline),
		cmocka_unit_test(goes_on_where_another_has_left_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
