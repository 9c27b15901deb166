// SPDX-License-Identifier: GPL-2.0-or-later
/* The switchover of a service that may run only once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>
#include <cmocka.h>

#include "core/change/exclusive.h"
#include "core/watch/queued.h"
#include "util/macro.h"

#define S USEC_PER_SEC

static const struct exclusive_plan plan = {
	.verb = VERB_SWITCHOVER,
	.from = 0,
	.to = 1,
	.ready_usec = USEC_INFINITY,
	.late_usec = 10 * S,
};
/* In an upgrade: healthy, and tested. */
static const struct exclusive_plan proven = {
	.verb = VERB_SWITCHOVER,
	.from = 0,
	.to = 1,
	.prove = true,
	.smoke = true,
	.ready_usec = 30 * S,
	.late_usec = 30 * S,
	.smoke_usec = 600 * S,
	.park_usec = 60 * S,
};

struct run {
	struct exclusive machine;
	struct exclusive_input input;
};

static unsigned begin(struct run *run, const struct exclusive_plan *begun)
{
	*run = (struct run) {.input = {.now = 1000, .old_slot = SLOT_READY}};
	return exclusive_begin(&run->machine, begun, EXCLUSIVE_HOLD, 1000);
}

static unsigned step(struct run *run, enum exclusive_event event)
{
	run->input.event = event;
	run->input.now += 10;
	return exclusive_step(&run->machine, &run->input);
}

static void assert_step(struct run *run, enum exclusive_event event, enum exclusive_state state,
			unsigned actions)
{
	assert_int_equal(step(run, event) & ~EXCLUSIVE_DO_TELL, actions);
	assert_int_equal(run->machine.state, state);
}

static void plan_to_start(struct run *run, const struct exclusive_plan *begun)
{
	assert_int_equal(begin(run, begun), EXCLUSIVE_DO_HOLD | EXCLUSIVE_DO_TELL);
	assert_step(run, EXCLUSIVE_TICK, EXCLUSIVE_STOP, EXCLUSIVE_DO_STOP_OLD);
	assert_step(run, EXCLUSIVE_TICK, EXCLUSIVE_STOP, 0);
	run->input.old_slot = SLOT_DOWN;
	assert_step(run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_START, EXCLUSIVE_DO_START_NEW);
}

static void to_start(struct run *run)
{
	plan_to_start(run, &plan);
}

static void to_prove(struct run *run)
{
	plan_to_start(run, &proven);
	run->input.new_slot = SLOT_READY;
	assert_step(run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_PROVE, 0);
}

static void to_smoke(struct run *run)
{
	to_prove(run);
	run->input.healthy = true;
	assert_step(run, EXCLUSIVE_TICK, EXCLUSIVE_SMOKE, EXCLUSIVE_DO_SMOKE);
}

static void test_all_goes_well(void **state)
{
	struct run run;

	(void)state;
	to_start(&run);
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_START, 0);
	/* adopted in ExecStartPost=: not before systemd says that it has started */
	run.input.new_slot = SLOT_READY;
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_START, 0);
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_DONE,
		    EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END);
	assert_true(exclusive_ended(&run.machine));
	assert_int_equal(exclusive_wake(&run.machine, 5000), USEC_INFINITY);
	assert_step(&run, EXCLUSIVE_JOB_FAILED, EXCLUSIVE_DONE, 0);
}

static void test_sockets_may_come_late(void **state)
{
	struct run run;

	(void)state;
	to_start(&run);
	run.input.new_slot = SLOT_UNADOPTED;
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_START, 0);
	run.input.new_slot = SLOT_READY;
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_DONE, EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END);
}

static void test_a_drain_is_waited_for(void **state)
{
	struct exclusive_plan drained = plan;
	struct run run;

	(void)state;
	drained.drain_usec = 1000;
	begin(&run, &drained);
	assert_string_equal(exclusive_step_name(&run.machine), "drain");
	run.input.remaining = 2;
	assert_int_equal(step(&run, EXCLUSIVE_TICK), EXCLUSIVE_DO_TELL);
	assert_int_equal(step(&run, EXCLUSIVE_TICK), 0);
	assert_true(exclusive_wake(&run.machine, run.input.now) <= 2000);
	run.input.remaining = 0;
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP, EXCLUSIVE_DO_STOP_OLD);
	begin(&run, &drained);
	run.input.remaining = 1;
	run.input.now = 5000;
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP, EXCLUSIVE_DO_STOP_OLD);
}

/* From where the new one is given up: it is stopped, the old one started. */
static void assert_undone(struct run *run)
{
	assert_int_equal(run->machine.state, EXCLUSIVE_STOP_NEW);
	run->input.new_slot = SLOT_FAILED;
	assert_step(run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_START_OLD, EXCLUSIVE_DO_START_OLD);
	run->input.old_slot = SLOT_READY;
	assert_step(run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_UNDONE,
		    EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END);
}

static void test_the_new_one_does_not_start(void **state)
{
	struct run run;

	(void)state;
	to_start(&run);
	run.input.new_slot = SLOT_FAILED;
	assert_step(&run, EXCLUSIVE_JOB_FAILED, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_undone(&run);
	assert_string_equal(run.machine.failure.text, "it did not start");
}

static void test_the_new_one_dies_at_once(void **state)
{
	struct run run;

	(void)state;
	to_start(&run);
	run.input.new_slot = SLOT_UNADOPTED;
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_START, 0);
	run.input.new_slot = SLOT_FAILED;
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_undone(&run);
}

static void test_the_new_one_is_never_adopted(void **state)
{
	struct run run;

	(void)state;
	to_start(&run);
	run.input.new_slot = SLOT_UNADOPTED;
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_START, 0);
	run.input.now = exclusive_wake(&run.machine, run.input.now);
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_string_equal(run.machine.failure.text, "its sockets could not be adopted");
	assert_undone(&run);
}

static void test_the_old_one_does_not_come_back(void **state)
{
	struct run run;

	(void)state;
	to_start(&run);
	assert_step(&run, EXCLUSIVE_JOB_FAILED, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_START_OLD, EXCLUSIVE_DO_START_OLD);
	assert_step(&run, EXCLUSIVE_JOB_FAILED, EXCLUSIVE_FAILED,
		    EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END);
}

/* Two must never run: then rather none is started. */
static void test_a_new_one_that_cannot_be_stopped(void **state)
{
	struct run run;

	(void)state;
	to_start(&run);
	run.input.new_slot = SLOT_UNADOPTED;
	run.input.now = exclusive_wake(&run.machine, run.input.now);
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_step(&run, EXCLUSIVE_JOB_FAILED, EXCLUSIVE_FAILED,
		    EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END);
}

static void test_an_old_one_that_cannot_be_stopped(void **state)
{
	struct run run;

	(void)state;
	begin(&run, &plan);
	step(&run, EXCLUSIVE_TICK);
	assert_step(&run, EXCLUSIVE_JOB_FAILED, EXCLUSIVE_START_OLD, EXCLUSIVE_DO_START_OLD);
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_UNDONE,
		    EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END);
	/* a stop that failed and left nothing running is a stop */
	begin(&run, &plan);
	step(&run, EXCLUSIVE_TICK);
	run.input.old_slot = SLOT_FAILED;
	assert_step(&run, EXCLUSIVE_JOB_FAILED, EXCLUSIVE_START, EXCLUSIVE_DO_START_NEW);
}

/* ---- healthy, and tested, before clients get there ---- */

static void test_proven(void **state)
{
	struct run run;

	(void)state;
	to_prove(&run);
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_PROVE, 0);
	run.input.healthy = true;
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_SMOKE, EXCLUSIVE_DO_SMOKE);
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_SMOKE, 0);
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_DONE,
		    EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END);
}

/* Found healthy before systemd has said that it has started. */
static void test_proven_at_once(void **state)
{
	struct exclusive_plan quick = proven;
	struct run run;

	(void)state;
	quick.smoke = false;
	plan_to_start(&run, &quick);
	run.input.new_slot = SLOT_READY;
	run.input.healthy = true;
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_DONE,
		    EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END);
}

/* The given time is for all of it: the start, the probes and the test. */
static void test_unproven_in_time(void **state)
{
	struct run run;

	(void)state;
	to_prove(&run);
	run.input.why = "status 503";
	run.input.now = exclusive_wake(&run.machine, run.input.now);
	assert_true(run.input.now <= 31 * S);
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_string_equal(run.machine.failure.text,
			    "it did not become healthy in time: status 503");
	assert_int_equal(run.machine.failed_in, EXCLUSIVE_PROVE);
	assert_undone(&run);

	to_smoke(&run);
	run.input.now = exclusive_wake(&run.machine, run.input.now);
	assert_true(run.input.now <= 31 * S);
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_string_equal(run.machine.failure.text, "the smoke test took too long");
	assert_undone(&run);

	plan_to_start(&run, &proven);
	run.input.new_slot = SLOT_STARTING;
	run.input.now = exclusive_wake(&run.machine, run.input.now);
	assert_true(run.input.now <= 31 * S);
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_string_equal(run.machine.failure.text, "it did not start in time");
	assert_undone(&run);
}

/* The old one has its own time to come back. */
static void test_a_short_time_is_not_for_the_old_one(void **state)
{
	struct exclusive_plan hasty = proven;
	struct run run;

	(void)state;
	hasty.ready_usec = hasty.late_usec = 1;
	plan_to_start(&run, &hasty);
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_START_OLD, EXCLUSIVE_DO_START_OLD);
	run.input.old_slot = SLOT_UNADOPTED;
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_START_OLD, 0);
	run.input.old_slot = SLOT_READY;
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_UNDONE,
		    EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END);
}

static void test_the_test_fails(void **state)
{
	struct run run;

	(void)state;
	to_smoke(&run);
	run.input.why = "the smoke test failed: no";
	assert_step(&run, EXCLUSIVE_JOB_FAILED, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_string_equal(run.machine.failure.text, "the smoke test failed: no");
	assert_string_equal(exclusive_state_to_string(run.machine.failed_in), "smoke");
	assert_undone(&run);
}

static void test_lost_while_it_is_proven(void **state)
{
	struct run run;

	(void)state;
	to_prove(&run);
	run.input.new_slot = SLOT_STARTING;
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_undone(&run);
	to_smoke(&run);
	run.input.new_slot = SLOT_FAILED;
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_undone(&run);
}

/* ---- cancelled ---- */

static void test_cancelled_before_anything(void **state)
{
	struct exclusive_plan drained = plan;
	struct problem text;
	struct run run;

	(void)state;
	drained.drain_usec = 1000;
	begin(&run, &drained);
	run.input.why = "it was cancelled";
	assert_step(&run, EXCLUSIVE_CANCEL, EXCLUSIVE_UNDONE,
		    EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END);
	assert_false(run.machine.touched);
	exclusive_describe(&run.machine, "app", 1001000, 7, &text);
	assert_string_equal(text.text, "app: undone: it was cancelled: slot 0 serves on, no other "
				       "was started.");
}

/* It has to be down before it can start again. */
static void test_cancelled_while_the_old_one_stops(void **state)
{
	struct run run;

	(void)state;
	begin(&run, &plan);
	step(&run, EXCLUSIVE_TICK);
	run.input.old_slot = SLOT_STOPPING;
	assert_step(&run, EXCLUSIVE_CANCEL, EXCLUSIVE_STOP, 0);
	assert_step(&run, EXCLUSIVE_TICK, EXCLUSIVE_STOP, 0);
	run.input.old_slot = SLOT_DOWN;
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_START_OLD, EXCLUSIVE_DO_START_OLD);
	run.input.old_slot = SLOT_READY;
	assert_step(&run, EXCLUSIVE_JOB_DONE, EXCLUSIVE_UNDONE,
		    EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END);
	assert_true(run.machine.touched);
}

static void test_cancelled_later(void **state)
{
	struct run run;

	(void)state;
	to_start(&run);
	assert_step(&run, EXCLUSIVE_CANCEL, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_step(&run, EXCLUSIVE_CANCEL, EXCLUSIVE_STOP_NEW, 0);
	assert_undone(&run);
	assert_step(&run, EXCLUSIVE_CANCEL, EXCLUSIVE_UNDONE, 0);
	to_prove(&run);
	assert_step(&run, EXCLUSIVE_CANCEL, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_undone(&run);
	to_smoke(&run);
	assert_step(&run, EXCLUSIVE_CANCEL, EXCLUSIVE_STOP_NEW, EXCLUSIVE_DO_STOP_NEW);
	assert_int_equal(run.machine.failed_in, EXCLUSIVE_SMOKE);
	assert_undone(&run);
}

/* ---- whatever comes ---- */

static void assert_never_two(unsigned actions, const struct exclusive_input *input, bool stopped)
{
	/* a slot is started when the other one is down, or was told to stop and systemd did so */
	if (actions & EXCLUSIVE_DO_START_NEW)
		assert_true(stopped || !exclusive_is_up(input->old_slot));
	assert_false(actions & EXCLUSIVE_DO_START_NEW && actions & EXCLUSIVE_DO_START_OLD);
	assert_int_equal(!!(actions & EXCLUSIVE_DO_END), !!(actions & EXCLUSIVE_DO_RELEASE));
}

static void test_any_order(void **state)
{
	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 20000; round++) {
		struct exclusive_plan any = random() & 1 ? proven : plan;
		struct run run;
		bool let_go = false;

		any.drain_usec = random() & 1 ? S : 0;
		begin(&run, &any);
		for (unsigned i = 0; i < 60 && !exclusive_ended(&run.machine); i++) {
			bool jump = random() % 4 == 0;
			unsigned actions;

			run.input = (struct exclusive_input) {
				.event = random() % (EXCLUSIVE_CANCEL + 1),
				.now = jump ? exclusive_wake(&run.machine, run.input.now)
					    : run.input.now + 1,
				.old_slot = random() % SLOT_STATE_COUNT,
				.new_slot = random() % SLOT_STATE_COUNT,
				.healthy = random() & 1,
				.remaining = random() % 3,
			};
			actions = exclusive_step(&run.machine, &run.input);
			assert_never_two(actions, &run.input,
					 run.input.event == EXCLUSIVE_JOB_DONE);
			let_go |= actions & EXCLUSIVE_DO_RELEASE;
		}
		while (!exclusive_ended(&run.machine)) {
			run.input.event = EXCLUSIVE_TICK;
			run.input.now = exclusive_wake(&run.machine, run.input.now);
			let_go |= exclusive_step(&run.machine, &run.input) & EXCLUSIVE_DO_RELEASE;
		}
		assert_true(let_go);
		if (run.machine.state != EXCLUSIVE_DONE)
			assert_true(run.machine.failure.text[0]);
	}
}

/* Every wait ends: with nothing but time every run comes to an end. */
static void test_time_alone_ends_it(void **state)
{
	(void)state;
	for (unsigned first = 0; first < EXCLUSIVE_DONE; first++) {
		struct run run = {.input = {.now = 1000,
					    .old_slot = SLOT_STOPPING,
					    .new_slot = SLOT_STARTING}};
		unsigned rounds = 0;

		exclusive_begin(&run.machine, &plan, first, 1000);
		while (!exclusive_ended(&run.machine) && rounds++ < 20) {
			run.input.now = exclusive_wake(&run.machine, run.input.now);
			exclusive_step(&run.machine, &run.input);
		}
		assert_true(exclusive_ended(&run.machine));
	}
}

static void test_resume(void **state)
{
	static const struct {
		enum slot_state states[3];
		unsigned n;
		enum exclusive_state goes_on;
		unsigned to;
	} cases[] = {
		{{SLOT_READY, SLOT_DOWN}, 2, EXCLUSIVE_UNDONE, 1},
		{{SLOT_LEAVING, SLOT_DOWN}, 2, EXCLUSIVE_STOP, 1},
		{{SLOT_STOPPING, SLOT_DOWN}, 2, EXCLUSIVE_STOP, 1},
		{{SLOT_DOWN, SLOT_DOWN}, 2, EXCLUSIVE_START, 1},
		{{SLOT_FAILED, SLOT_STARTING}, 2, EXCLUSIVE_START, 1},
		{{SLOT_DOWN, SLOT_READY}, 2, EXCLUSIVE_START, 1},
		{{SLOT_STARTING, SLOT_FAILED}, 2, EXCLUSIVE_START_OLD, 1},
		{{SLOT_DOWN, SLOT_DOWN, SLOT_STARTING}, 3, EXCLUSIVE_START, 2},
		{{SLOT_DOWN, SLOT_DOWN, SLOT_DOWN}, 3, EXCLUSIVE_START_OLD, HS_SLOT_NONE},
	};
	unsigned to;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(exclusive_resume(cases[i].states, cases[i].n, 0, &to),
				 cases[i].goes_on);
		assert_int_equal(to, cases[i].to);
	}
}

static bool is_open(struct exclusive_request request, unsigned *ret_to, const char *reason)
{
	struct problem refusal = {0};
	bool open = exclusive_gate(&request, "app", ret_to, &refusal) == GATE_OPEN;

	if (reason && !strstr(refusal.text, reason))
		fail_msg("\"%s\" does not say \"%s\"", refusal.text, reason);
	return open;
}

static void test_gate(void **state)
{
	static const enum slot_state down[] = {SLOT_READY, SLOT_DOWN},
				     both[] = {SLOT_READY, SLOT_READY},
				     unknown[] = {SLOT_READY, SLOT_UNKNOWN},
				     hangs[] = {SLOT_SUSPECT, SLOT_DOWN},
				     unadopted[] = {SLOT_DOWN, SLOT_UNADOPTED},
				     none[] = {SLOT_DOWN, SLOT_FAILED};
	struct exclusive_request request = {
		.states = down, .n = 2, .active = 0, .to = GATE_STANDBY, .park = true};
	unsigned to = HS_SLOT_NONE;

	(void)state;
	assert_true(is_open(request, &to, NULL));
	assert_int_equal(to, 1);
	request.to = 1;
	assert_true(is_open(request, &to, NULL));
	request.to = 0;
	assert_false(is_open(request, &to, "active one already"));
	request.to = 2;
	assert_false(is_open(request, &to, "no slot 2"));
	request.to = GATE_STANDBY;
	request.park = false;
	assert_false(is_open(request, &to, "no park"));
	request.park = true;
	request.busy = true;
	assert_false(is_open(request, &to, "another change"));
	request.busy = false;
	request.states = both;
	assert_false(
		is_open(request, &to, "only one may run; stop it first: systemctl stop app@1"));
	request.states = unknown;
	assert_false(is_open(request, &to, "not told yet whether slot 1"));
	request.states = none;
	assert_false(is_open(request, &to, "start one"));
	request.states = hangs;
	assert_true(is_open(request, &to, NULL));
	request.states = none;
	request.active = HS_SLOT_NONE;
	assert_false(is_open(request, &to, "start one"));
	request.mptcp = true;
	assert_false(is_open(request, &to, "start one"));
	request.states = unadopted;
	assert_false(is_open(request, &to, "slot 1 listens by MPTCP"));
	request.mptcp = false;
	assert_false(is_open(request, &to, "start one"));
}

static void test_sentences(void **state)
{
	struct problem text;
	struct run run;

	(void)state;
	to_start(&run);
	for (unsigned i = 0; i < EXCLUSIVE_STATE_COUNT; i++) {
		run.machine.state = i;
		exclusive_progress(&run.machine, &text);
		assert_true(text.text[0]);
		exclusive_describe(&run.machine, "app", 2000000, 7, &text);
		assert_ptr_equal(strstr(text.text, "app: "), text.text);
	}
	run.machine.state = EXCLUSIVE_DONE;
	exclusive_describe(&run.machine, "app", 1001000, 7, &text);
	assert_string_equal(text.text,
			    "app: slot 1 took over from slot 0 in 1s; slot 0 was stopped first, "
			    "and 7 connections waited meanwhile.");
}

/* What could not be asked is not none. */
static void test_sentences_without_the_number_that_waits(void **state)
{
	struct problem text;
	struct run run;

	(void)state;
	to_start(&run);
	run.input.waiting = QUEUED_UNKNOWN;
	step(&run, EXCLUSIVE_TICK);
	exclusive_progress(&run.machine, &text);
	assert_string_equal(text.text, "start: slot 1; how many wait could not be asked");
	run.machine.state = EXCLUSIVE_DONE;
	exclusive_describe(&run.machine, "app", 1001000, QUEUED_UNKNOWN, &text);
	assert_string_equal(text.text,
			    "app: slot 1 took over from slot 0 in 1s; slot 0 was stopped first, "
			    "and how many connections waited could not be asked.");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_goes_well),
		cmocka_unit_test(test_sockets_may_come_late),
		cmocka_unit_test(test_a_drain_is_waited_for),
		cmocka_unit_test(test_the_new_one_does_not_start),
		cmocka_unit_test(test_the_new_one_dies_at_once),
		cmocka_unit_test(test_the_new_one_is_never_adopted),
		cmocka_unit_test(test_the_old_one_does_not_come_back),
		cmocka_unit_test(test_a_new_one_that_cannot_be_stopped),
		cmocka_unit_test(test_an_old_one_that_cannot_be_stopped),
		cmocka_unit_test(test_proven),
		cmocka_unit_test(test_proven_at_once),
		cmocka_unit_test(test_unproven_in_time),
		cmocka_unit_test(test_a_short_time_is_not_for_the_old_one),
		cmocka_unit_test(test_the_test_fails),
		cmocka_unit_test(test_lost_while_it_is_proven),
		cmocka_unit_test(test_cancelled_before_anything),
		cmocka_unit_test(test_cancelled_while_the_old_one_stops),
		cmocka_unit_test(test_cancelled_later),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_time_alone_ends_it),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_sentences_without_the_number_that_waits),
	};

	return cmocka_run_group_tests_name("exclusive", tests, NULL, NULL);
}
