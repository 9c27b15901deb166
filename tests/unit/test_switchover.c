// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The switchover's state machine: each scenario is a list of events with what must follow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/change/switchover.h"
#include "hs_abi.h"
#include "util/macro.h"

#define FLIP	SWITCHOVER_DO_FLIP
#define BOUNCE	SWITCHOVER_DO_BOUNCE
#define STOP	SWITCHOVER_DO_STOP
#define RESTART SWITCHOVER_DO_RESTART
#define TELL	SWITCHOVER_DO_TELL
#define END	SWITCHOVER_DO_END

struct step {
	enum switchover_event event;
	uint64_t now, remaining;
	unsigned actions;
	enum switchover_state state;
};

static const struct switchover_plan plan_keep = {
	.verb = VERB_SWITCHOVER,
	.from = 0,
	.to = 1,
	.settle_usec = 50,
	.drain_usec = 1000,
	.then = THEN_KEEP,
};

static struct switchover run(const struct switchover_plan *plan, const struct step *steps, size_t n)
{
	struct switchover s;

	switchover_init(&s, plan);
	for (size_t i = 0; i < n; i++) {
		struct switchover_input input = {steps[i].event, steps[i].now, steps[i].remaining,
						 NULL};
		unsigned actions = switchover_step(&s, &input);

		if (actions != steps[i].actions || s.state != steps[i].state)
			print_error("at step %zu\n", i);
		assert_int_equal(actions, steps[i].actions);
		assert_int_equal(s.state, steps[i].state);
	}
	return s;
}

#define RUN(plan, steps) run(plan, steps, ARRAY_SIZE(steps))

static void keeps_the_old_one(void **state)
{
	static const struct step steps[] = {
		{SWITCHOVER_BEGIN, 100, 3, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 101, 3, TELL, SWITCHOVER_SETTLE},
		{SWITCHOVER_TICK, 120, 3, 0, SWITCHOVER_SETTLE},
		{SWITCHOVER_TICK, 151, 3, TELL, SWITCHOVER_DRAIN},
		{SWITCHOVER_TICK, 200, 3, 0, SWITCHOVER_DRAIN},
		{SWITCHOVER_TICK, 300, 1, TELL, SWITCHOVER_DRAIN},
		{SWITCHOVER_TICK, 400, 0, TELL | END, SWITCHOVER_DONE},
		{SWITCHOVER_TICK, 500, 0, 0, SWITCHOVER_DONE},
	};

	(void)state;
	RUN(&plan_keep, steps);
}

static void without_connections_nothing_is_waited_for(void **state)
{
	static const struct step steps[] = {
		{SWITCHOVER_BEGIN, 100, 0, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 101, 0, TELL, SWITCHOVER_SETTLE},
		{SWITCHOVER_TICK, 151, 0, TELL | END, SWITCHOVER_DONE},
	};

	(void)state;
	RUN(&plan_keep, steps);
}

static void no_settle_no_drain_ends_with_the_flip(void **state)
{
	static const struct switchover_plan plan = {.from = 0, .to = 1};
	static const struct step steps[] = {
		{SWITCHOVER_BEGIN, 100, 9, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 101, 9, TELL | END, SWITCHOVER_DONE},
	};

	(void)state;
	RUN(&plan, steps);
}

static void drain_ends_at_its_deadline(void **state)
{
	static const struct step steps[] = {
		{SWITCHOVER_BEGIN, 0, 5, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 0, 5, TELL, SWITCHOVER_SETTLE},
		{SWITCHOVER_TICK, 50, 5, TELL, SWITCHOVER_DRAIN},
		{SWITCHOVER_TICK, 1049, 5, 0, SWITCHOVER_DRAIN},
		{SWITCHOVER_TICK, 1050, 5, TELL | END, SWITCHOVER_DONE},
	};
	struct switchover s;

	(void)state;
	s = RUN(&plan_keep, steps);
	assert_int_equal(s.remaining, 5);
}

static void the_old_one_stops_only_after_settle_and_drain(void **state)
{
	struct switchover_plan plan = plan_keep;
	static const struct step stop[] = {
		{SWITCHOVER_BEGIN, 0, 1, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 0, 1, TELL, SWITCHOVER_SETTLE},
		{SWITCHOVER_TICK, 49, 0, 0, SWITCHOVER_SETTLE},
		{SWITCHOVER_TICK, 50, 1, TELL, SWITCHOVER_DRAIN},
		{SWITCHOVER_TICK, 60, 0, TELL | STOP, SWITCHOVER_FINISH},
		{SWITCHOVER_TICK, 70, 0, 0, SWITCHOVER_FINISH},
		{SWITCHOVER_OLD_DONE, 80, 0, TELL | END, SWITCHOVER_DONE},
	};
	static const struct step restart[] = {
		{SWITCHOVER_BEGIN, 0, 0, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 0, 0, TELL, SWITCHOVER_SETTLE},
		{SWITCHOVER_TICK, 50, 0, TELL | RESTART, SWITCHOVER_FINISH},
		{SWITCHOVER_OLD_FAILED, 80, 0, TELL | END, SWITCHOVER_FAILED},
	};

	(void)state;
	plan.then = THEN_STOP;
	RUN(&plan, stop);
	plan.then = THEN_RESTART;
	RUN(&plan, restart);
}

static void stopping_has_a_deadline_too(void **state)
{
	struct switchover_plan plan = plan_keep;
	static const struct step steps[] = {
		{SWITCHOVER_BEGIN, 0, 0, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 0, 0, TELL, SWITCHOVER_SETTLE},
		{SWITCHOVER_TICK, 50, 0, TELL | STOP, SWITCHOVER_FINISH},
		{SWITCHOVER_TICK, 3600 * USEC_PER_SEC, 0, TELL | END, SWITCHOVER_FAILED},
	};

	(void)state;
	plan.then = THEN_STOP;
	RUN(&plan, steps);
}

/* Until the old instance is told to stop, there is a way back. */
static void a_lost_target_is_undone(void **state)
{
	static const struct step settling[] = {
		{SWITCHOVER_BEGIN, 0, 1, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 0, 1, TELL, SWITCHOVER_SETTLE},
		{SWITCHOVER_TARGET_LOST, 10, 1, TELL | END, SWITCHOVER_UNDONE},
	};
	static const struct step draining[] = {
		{SWITCHOVER_BEGIN, 0, 1, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 0, 1, TELL, SWITCHOVER_SETTLE},
		{SWITCHOVER_TICK, 50, 1, TELL, SWITCHOVER_DRAIN},
		{SWITCHOVER_TARGET_LOST, 60, 1, TELL | END, SWITCHOVER_UNDONE},
	};
	static const struct step both[] = {
		{SWITCHOVER_BEGIN, 0, 1, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 0, 1, TELL, SWITCHOVER_SETTLE},
		{SWITCHOVER_BOTH_LOST, 60, 1, TELL | END, SWITCHOVER_FAILED},
	};

	(void)state;
	RUN(&plan_keep, settling);
	RUN(&plan_keep, draining);
	RUN(&plan_keep, both);
}

static void a_target_lost_while_stopping_is_a_failure(void **state)
{
	struct switchover_plan plan = plan_keep;
	static const struct step steps[] = {
		{SWITCHOVER_BEGIN, 0, 0, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 0, 0, TELL, SWITCHOVER_SETTLE},
		{SWITCHOVER_TICK, 50, 0, TELL | STOP, SWITCHOVER_FINISH},
		{SWITCHOVER_TARGET_LOST, 60, 0, TELL | END, SWITCHOVER_FAILED},
	};

	(void)state;
	plan.then = THEN_STOP;
	RUN(&plan, steps);
}

static void a_word_changed_by_others_ends_it(void **state)
{
	static const struct step steps[] = {
		{SWITCHOVER_BEGIN, 0, 0, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_NOT_FLIPPED, 0, 0, TELL | END, SWITCHOVER_FAILED},
		{SWITCHOVER_FLIPPED, 1, 0, 0, SWITCHOVER_FAILED},
	};

	(void)state;
	RUN(&plan_keep, steps);
}

/* Fail-over: the queue of an instance that may hang is moved, after settling. */
static void a_failover_moves_the_queue(void **state)
{
	static const struct switchover_plan plan = {
		.verb = VERB_FAILOVER, .from = 1, .to = 0, .settle_usec = 50, .bounce = true};
	static const struct step steps[] = {
		{SWITCHOVER_BEGIN, 0, 7, FLIP | TELL, SWITCHOVER_FLIP},
		{SWITCHOVER_FLIPPED, 0, 7, TELL, SWITCHOVER_SETTLE},
		{SWITCHOVER_TICK, 50, 7, BOUNCE | TELL | END, SWITCHOVER_DONE},
	};

	(void)state;
	RUN(&plan, steps);
}

static uint64_t seed = 1;

static unsigned any(unsigned n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % n;
}

static struct switchover_plan any_plan(void)
{
	struct switchover_plan plan = plan_keep;

	plan.from = any(4) ? 0 : HS_SLOT_NONE;
	plan.verb = any(VERB_COUNT);
	plan.then = any(THEN_COUNT);
	plan.bounce = any(2);
	plan.settle_usec *= any(2);
	plan.drain_usec *= any(2);
	return plan;
}

/* One step, whatever comes: the old instance is told to stop once, after the flip, and an end is
 * the end. */
static void step_and_look(struct switchover *s, const struct switchover_input *input, bool *flipped,
			  bool *told)
{
	bool ended = switchover_ended(s), in_flip = s->state == SWITCHOVER_FLIP;
	enum switchover_state before = s->state;
	unsigned actions = switchover_step(s, input);

	*flipped |= in_flip && input->event == SWITCHOVER_FLIPPED;
	assert_int_equal(!!(actions & END), !ended && switchover_ended(s));
	assert_true(!ended || (!actions && s->state == before));
	assert_true(actions & TELL || (!actions && s->state == before));
	if (actions & (STOP | RESTART)) {
		assert_true(*flipped && !*told && s->plan.from != HS_SLOT_NONE);
		*told = true;
	}
}

/* Invariant: every state has a deadline, every wait ends. Random events, then only the clock. */
static void every_wait_ends(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct switchover_plan plan = any_plan();
		bool flipped = false, told = false;
		struct switchover_input input = {.event = SWITCHOVER_BEGIN};
		struct switchover s;

		switchover_init(&s, &plan);
		switchover_step(&s, &input);
		for (unsigned i = 0, n = any(10); i < n; i++) {
			input.event = 1 + any(SWITCHOVER_OLD_FAILED);
			input.now = any(3) ? input.now + 7
					   : MIN(switchover_wake(&s, input.now), input.now + 5000);
			input.remaining = any(3);
			step_and_look(&s, &input, &flipped, &told);
		}
		/* the driver answers FLIPPED or NOT_FLIPPED at once */
		input.event = any(4) ? SWITCHOVER_FLIPPED : SWITCHOVER_NOT_FLIPPED;
		if (s.state == SWITCHOVER_FLIP)
			step_and_look(&s, &input, &flipped, &told);
		input.event = SWITCHOVER_TICK;
		for (int i = 0; !switchover_ended(&s); i++) {
			uint64_t wake = switchover_wake(&s, input.now);

			assert_true(wake != USEC_INFINITY && i < 1000);
			input.now = MAX(wake, input.now);
			step_and_look(&s, &input, &flipped, &told);
		}
		assert_true(switchover_wake(&s, input.now) == USEC_INFINITY);
		assert_true(s.state != SWITCHOVER_DONE || flipped);
	}
}

static void the_sentences_say_what_happened(void **state)
{
	struct switchover_result result = {
		.duration_usec = 51300, .moved = 3, .finished = 12, .remaining = 1};
	struct problem text = {0};
	struct switchover s;

	(void)state;
	switchover_init(&s, &plan_keep);
	s.state = SWITCHOVER_DONE;
	switchover_describe(&s, "app", &result, &text);
	assert_string_equal(text.text,
			    "app: slot 1 took over from slot 0 in 51.3ms; 3 waiting moved, 12 "
			    "finished on slot 0 and 1 still there; slot 0 stands by.");
	s.state = SWITCHOVER_UNDONE;
	switchover_describe(&s, "app", &result, &text);
	assert_non_null(
		strstr(text.text, "slot 1 was lost during the switchover; traffic is back"));
	switchover_init(&s, &plan_keep);
	s.state = SWITCHOVER_DRAIN;
	switchover_step(&s, &(struct switchover_input) {.event = SWITCHOVER_TARGET_LOST,
							.why = "HTTP 503"});
	assert_int_equal(s.state, SWITCHOVER_UNDONE);
	switchover_describe(&s, "app", &result, &text);
	assert_non_null(strstr(text.text, "slot 1 became unhealthy during the switchover: HTTP "
					  "503; traffic is back on slot 0."));
	s.state = SWITCHOVER_DRAIN;
	s.remaining = 1;
	switchover_progress(&s, &text);
	assert_string_equal(text.text, "drain: 1 connection left on slot 0");
}

static void each_state_has_a_line(void **state)
{
	static const struct switchover_plan plan = {
		.from = 0, .to = 1, .settle_usec = 50 * USEC_PER_MSEC, .then = THEN_RESTART};
	static const char *const lines[] = {
		[SWITCHOVER_FLIP] = "flip: slot 1 is ready",
		[SWITCHOVER_SETTLE] = "settle: new connections go to slot 1; waiting 50ms",
		[SWITCHOVER_DRAIN] = "drain: 0 connections left on slot 0",
		[SWITCHOVER_FINISH] = "restart: slot 0",
		[SWITCHOVER_DONE] = "done",
		[SWITCHOVER_UNDONE] = "undone",
		[SWITCHOVER_FAILED] = "failed",
	};
	struct switchover s;

	(void)state;
	_Static_assert(ARRAY_SIZE(lines) == SWITCHOVER_STATE_COUNT, "a line for each");
	switchover_init(&s, &plan);
	for (unsigned i = 0; i < SWITCHOVER_STATE_COUNT; i++) {
		struct problem line = {0};

		s.state = i;
		switchover_progress(&s, &line);
		assert_string_equal(line.text, lines[i]);
		assert_int_equal(strncmp(switchover_step_name(&s), lines[i], 4), 0);
	}
}

static void other_ends_are_told(void **state)
{
	struct switchover_result result = {.duration_usec = 51300};
	struct switchover_plan plan = plan_keep;
	struct problem text = {0};
	struct switchover s;

	(void)state;
	switchover_init(&s, &plan);
	s.state = SWITCHOVER_FAILED;
	s.failure = "the word was changed";
	switchover_describe(&s, "app", &result, &text);
	assert_string_equal(
		text.text,
		"app: the switchover from slot 0 to slot 1 failed: the word was changed.");
	/* there was none before */
	plan.from = HS_SLOT_NONE;
	switchover_init(&s, &plan);
	s.state = SWITCHOVER_DONE;
	switchover_describe(&s, "app", &result, &text);
	assert_string_equal(text.text, "app: slot 1 is active, after 51.3ms.");
}

static void words_and_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < THEN_COUNT; i++)
		assert_int_equal(switchover_then_from_string(switchover_then_to_string(i)), i);
	assert_int_equal(switchover_then_from_string("Keep"), THEN_COUNT);
	assert_int_equal(switchover_then_from_string(""), THEN_COUNT);
	assert_string_equal(switchover_then_to_string(THEN_COUNT), "unknown");
	assert_string_equal(switchover_verb_to_string(VERB_ROLLBACK), "rollback");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_old_one),
		cmocka_unit_test(without_connections_nothing_is_waited_for),
		cmocka_unit_test(no_settle_no_drain_ends_with_the_flip),
		cmocka_unit_test(drain_ends_at_its_deadline),
		cmocka_unit_test(the_old_one_stops_only_after_settle_and_drain),
		cmocka_unit_test(stopping_has_a_deadline_too),
		cmocka_unit_test(a_lost_target_is_undone),
		cmocka_unit_test(a_target_lost_while_stopping_is_a_failure),
		cmocka_unit_test(a_word_changed_by_others_ends_it),
		cmocka_unit_test(a_failover_moves_the_queue),
		cmocka_unit_test(every_wait_ends),
		cmocka_unit_test(the_sentences_say_what_happened),
		cmocka_unit_test(each_state_has_a_line),
		cmocka_unit_test(other_ends_are_told),
		cmocka_unit_test(words_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
