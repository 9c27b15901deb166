/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The upgrade as a state machine: the way through, each way back, and that it always ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/change/upgrade.h"
#include "util/macro.h"

#define S USEC_PER_SEC

static const struct upgrade_plan whole = {
	.from = 0,
	.to = 1,
	.smoke = true,
	.n_canary = 2,
	.canary = {655, 32768},
	.hold_usec = 30 * S,
	.ready_usec = 90 * S,
	.smoke_usec = 60 * S,
	.probation_usec = 60 * S,
};

static unsigned send(struct upgrade *u, enum upgrade_event event, uint64_t now)
{
	struct upgrade_input input = {.event = event, .now = now};

	return upgrade_step(u, &input);
}

static unsigned look(struct upgrade *u, uint64_t now, bool ready, const char *lost)
{
	struct upgrade_input input = {
		.event = UPGRADE_LOOK, .now = now, .ready = ready, .lost = lost, .why = lost};

	return upgrade_step(u, &input);
}

/* Brings a fresh upgrade to this state; the clock is at the state's number then. */
static struct upgrade at(const struct upgrade_plan *plan, enum upgrade_state state)
{
	struct upgrade u;

	upgrade_init(&u, plan);
	send(&u, UPGRADE_BEGIN, 0);
	if (u.state != state)
		send(&u, UPGRADE_JOB_DONE, 1);
	if (u.state != state)
		look(&u, 2, true, NULL);
	if (u.state != state)
		send(&u, UPGRADE_SMOKE_DONE, 3);
	while (u.state != state && u.state == UPGRADE_CANARY)
		look(&u, upgrade_wake(&u), true, NULL);
	if (u.state != state)
		send(&u, UPGRADE_SWITCHED, u.entered + 1);
	if (u.state != state)
		look(&u, upgrade_wake(&u), true, NULL);
	assert_int_equal(u.state, state);
	return u;
}

static void test_way_through(void **state)
{
	struct problem text;
	struct upgrade u;

	(void)state;
	upgrade_init(&u, &whole);
	assert_int_equal(send(&u, UPGRADE_BEGIN, 0), UPGRADE_DO_TELL | UPGRADE_DO_RESTART_NEW);
	assert_int_equal(send(&u, UPGRADE_JOB_DONE, S), UPGRADE_DO_TELL);
	assert_int_equal(look(&u, 2 * S, false, NULL), 0);
	assert_int_equal(look(&u, 3 * S, true, NULL), UPGRADE_DO_TELL | UPGRADE_DO_SMOKE);
	assert_int_equal(send(&u, UPGRADE_SMOKE_DONE, 4 * S), UPGRADE_DO_TELL | UPGRADE_DO_CANARY);
	assert_int_equal(upgrade_share(&u), 655);
	assert_int_equal(look(&u, 5 * S, true, NULL), 0);
	assert_int_equal(upgrade_wake(&u), 34 * S);
	assert_int_equal(look(&u, 34 * S, true, NULL), UPGRADE_DO_TELL | UPGRADE_DO_CANARY);
	assert_int_equal(upgrade_share(&u), 32768);
	upgrade_progress(&u, 35 * S, 0, &text);
	assert_string_equal(text.text, "canary: slot 1 gets 50% of new connections, 29s left");
	assert_int_equal(look(&u, 64 * S, true, NULL), UPGRADE_DO_TELL | UPGRADE_DO_SWITCH);
	assert_int_equal(send(&u, UPGRADE_SWITCHED, 65 * S), UPGRADE_DO_TELL);
	assert_int_equal(look(&u, 125 * S, true, NULL), UPGRADE_DO_TELL | UPGRADE_DO_RESTART_OLD);
	assert_false(upgrade_can_undo(&u));
	assert_int_equal(send(&u, UPGRADE_CANCEL, 126 * S), 0);
	assert_int_equal(upgrade_slot(&u), 0);
	assert_int_equal(look(&u, 126 * S, true, NULL), 0);
	assert_int_equal(send(&u, UPGRADE_JOB_DONE, 127 * S), 0);
	assert_int_equal(look(&u, 127 * S, true, NULL), UPGRADE_DO_TELL | UPGRADE_DO_END);
	assert_int_equal(u.state, UPGRADE_DONE);
	assert_int_equal(upgrade_wake(&u), USEC_INFINITY);
	upgrade_describe(&u, "app", 127 * S, &text);
	assert_string_equal(text.text, "app: upgraded in 2min 7s; slot 1 is active, slot 0 stands "
				       "by with the new version.");
}

static void test_short_way(void **state)
{
	struct upgrade_plan plan = {.from = 1, .to = 0, .ready_usec = S};
	struct upgrade u;

	(void)state;
	upgrade_init(&u, &plan);
	send(&u, UPGRADE_BEGIN, 0);
	send(&u, UPGRADE_JOB_DONE, 1);
	assert_int_equal(look(&u, 2, true, NULL), UPGRADE_DO_TELL | UPGRADE_DO_SWITCH);
	assert_int_equal(send(&u, UPGRADE_SWITCHED, 3), UPGRADE_DO_TELL | UPGRADE_DO_RESTART_OLD);
}

/* Only where somebody has said how long it may take to be ready; stopping it does not count. */
static void test_start_that_takes_its_time(void **state)
{
	struct upgrade_plan plan = {.from = 0, .to = 1, .ready_usec = 5 * S, .start_usec = 5 * S};
	struct upgrade_input look_at = {
		.event = UPGRADE_LOOK, .lost = true, .starting = true, .now = 60 * S};
	struct problem text;
	struct upgrade u;

	(void)state;
	upgrade_init(&u, &plan);
	send(&u, UPGRADE_BEGIN, 0);
	assert_int_equal(look(&u, 59 * S, false, NULL), 0);
	assert_int_equal(upgrade_step(&u, &look_at), 0);
	assert_int_equal(upgrade_wake(&u), 65 * S);
	look_at.now = 64 * S;
	assert_int_equal(upgrade_step(&u, &look_at), 0);
	look_at.now = 65 * S;
	assert_int_equal(upgrade_step(&u, &look_at), UPGRADE_DO_TELL | UPGRADE_DO_UNDO);
	send(&u, UPGRADE_BACK, 65 * S);
	upgrade_describe(&u, "app", 65 * S, &text);
	assert_non_null(strstr(text.text, "the new instance took too long to start"));

	plan.start_usec = 0;
	upgrade_init(&u, &plan);
	send(&u, UPGRADE_BEGIN, 0);
	look_at.now = 60 * S;
	upgrade_step(&u, &look_at);
	assert_int_equal(upgrade_wake(&u), 600 * S);
}

/* Further slots that run get the new version, too: one after the other. */
static void test_more_than_two_slots(void **state)
{
	struct upgrade_plan plan = {.from = 1, .to = 2, .others = 1 << 0 | 1 << 3, .ready_usec = S};
	struct upgrade u = at(&plan, UPGRADE_REFRESH);
	struct problem text;

	(void)state;
	assert_int_equal(upgrade_slot(&u), 1);
	send(&u, UPGRADE_JOB_DONE, 10 * S);
	assert_int_equal(look(&u, 10 * S, true, NULL), UPGRADE_DO_TELL);
	assert_int_equal(upgrade_slot(&u), 0);
	/* nothing is left there */
	assert_int_equal(look(&u, 10 * S, true, NULL), UPGRADE_DO_TELL | UPGRADE_DO_RESTART_OLD);
	send(&u, UPGRADE_JOB_DONE, 11 * S);
	assert_int_equal(look(&u, 11 * S, true, NULL), UPGRADE_DO_TELL);
	assert_int_equal(upgrade_slot(&u), 3);
	assert_int_equal(look(&u, 11 * S, true, NULL), UPGRADE_DO_TELL | UPGRADE_DO_RESTART_OLD);
	send(&u, UPGRADE_JOB_DONE, 12 * S);
	assert_int_equal(look(&u, 12 * S, true, NULL), UPGRADE_DO_TELL | UPGRADE_DO_END);
	upgrade_describe(&u, "app", 12 * S, &text);
	assert_non_null(
		strstr(text.text, "slot 1 stands by with the new version, and so do the others."));
}

/* A fresh standby that does not get ready: traffic is on the new version, but that is not all. */
static void test_refresh_not_ready(void **state)
{
	struct upgrade u = at(&whole, UPGRADE_REFRESH);

	(void)state;
	send(&u, UPGRADE_JOB_DONE, 10 * S);
	assert_int_equal(look(&u, 11 * S, false, NULL), 0);
	assert_int_equal(look(&u, upgrade_wake(&u), false, NULL), UPGRADE_DO_TELL | UPGRADE_DO_END);
	assert_int_equal(u.state, UPGRADE_FAILED);
	assert_non_null(strstr(u.failure.text, "the old slot did not become ready"));
}

static void test_old_connections_that_are_kept(void **state)
{
	struct upgrade u = at(&whole, UPGRADE_REFRESH);
	struct problem text;

	(void)state;
	assert_int_equal(send(&u, UPGRADE_LEFT_ALONE, 10 * S), UPGRADE_DO_TELL | UPGRADE_DO_END);
	assert_int_equal(u.state, UPGRADE_DONE);
	upgrade_describe(&u, "app", 10 * S, &text);
	assert_non_null(strstr(text.text, "Slot 0 keeps its connections and the old version"));
}

static void test_progress_tells_what_is_left(void **state)
{
	struct upgrade u = at(&whole, UPGRADE_SWITCH);
	struct problem text;

	(void)state;
	upgrade_progress(&u, u.entered, 31, &text);
	assert_string_equal(text.text,
			    "switch: new connections go to slot 1; 31 connections left on slot 0");
	u = at(&whole, UPGRADE_PROBATION);
	upgrade_progress(&u, u.entered, 0, &text);
	assert_string_equal(text.text, "probation: slot 1 is watched, 1min left");
	/* between the steps of the canary there is no share, and none before */
	u = at(&whole, UPGRADE_SMOKE);
	assert_int_equal(upgrade_share(&u), 0);
}

/* In each state: what goes wrong, and where it leads. */
static void test_ways_back(void **state)
{
	static const struct {
		enum upgrade_state in;
		enum upgrade_event event;
		bool lost, late;
		enum upgrade_state then;
	} rows[] = {
		{UPGRADE_RESTART, UPGRADE_JOB_FAILED, false, false, UPGRADE_UNDO},
		{UPGRADE_RESTART, UPGRADE_LOOK, false, true, UPGRADE_UNDO},
		{UPGRADE_RESTART, UPGRADE_LOOK, true, false, UPGRADE_RESTART},
		{UPGRADE_READY, UPGRADE_LOOK, false, true, UPGRADE_UNDO},
		{UPGRADE_READY, UPGRADE_LOOK, true, false, UPGRADE_READY},
		{UPGRADE_READY, UPGRADE_JOB_FAILED, false, false, UPGRADE_READY},
		{UPGRADE_SMOKE, UPGRADE_SMOKE_FAILED, false, false, UPGRADE_UNDO},
		{UPGRADE_SMOKE, UPGRADE_LOOK, true, false, UPGRADE_UNDO},
		{UPGRADE_SMOKE, UPGRADE_LOOK, false, true, UPGRADE_UNDO},
		{UPGRADE_CANARY, UPGRADE_LOOK, true, false, UPGRADE_UNDO},
		{UPGRADE_CANARY, UPGRADE_SMOKE_FAILED, false, false, UPGRADE_CANARY},
		{UPGRADE_SWITCH, UPGRADE_NOT_SWITCHED, false, false, UPGRADE_UNDO},
		{UPGRADE_SWITCH, UPGRADE_LOOK, true, false, UPGRADE_UNDO},
		{UPGRADE_PROBATION, UPGRADE_LOOK, true, false, UPGRADE_UNDO},
		{UPGRADE_PROBATION, UPGRADE_LOOK, true, true, UPGRADE_UNDO},
		{UPGRADE_PROBATION, UPGRADE_CANCEL, false, false, UPGRADE_UNDO},
		{UPGRADE_REFRESH, UPGRADE_JOB_FAILED, false, false, UPGRADE_FAILED},
		{UPGRADE_REFRESH, UPGRADE_LOOK, true, false, UPGRADE_REFRESH},
		{UPGRADE_REFRESH, UPGRADE_LOOK, false, true, UPGRADE_FAILED},
		{UPGRADE_REFRESH, UPGRADE_CANCEL, false, false, UPGRADE_REFRESH},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct upgrade u = at(&whole, rows[i].in);
		struct upgrade_input input = {
			.event = rows[i].event,
			.now = rows[i].late ? upgrade_wake(&u) : u.entered + 1,
			.lost = rows[i].lost,
			.why = "HTTP 503",
		};
		unsigned actions = upgrade_step(&u, &input);
		struct problem text;

		assert_int_equal(u.state, rows[i].then);
		assert_int_equal(!!(actions & UPGRADE_DO_UNDO), rows[i].then == UPGRADE_UNDO);
		if (rows[i].then != UPGRADE_UNDO)
			continue;
		assert_int_equal(u.failed_in, rows[i].in);
		assert_int_equal(send(&u, UPGRADE_BACK, input.now + 1),
				 UPGRADE_DO_TELL | UPGRADE_DO_END);
		assert_int_equal(u.state, UPGRADE_UNDONE);
		upgrade_describe(&u, "app", input.now, &text);
		assert_non_null(strstr(text.text, upgrade_state_to_string(rows[i].in)));
	}
}

static void test_undo_that_fails_keeps_its_reason(void **state)
{
	struct upgrade u = at(&whole, UPGRADE_CANARY);

	(void)state;
	look(&u, u.entered + 1, false, "slot 1 is unhealthy: HTTP 503");
	assert_int_equal(send(&u, UPGRADE_NOT_BACK, u.entered + 2),
			 UPGRADE_DO_TELL | UPGRADE_DO_END);
	assert_int_equal(u.state, UPGRADE_FAILED);
	assert_string_equal(u.failure.text, "slot 1 is unhealthy: HTTP 503");
	assert_int_equal(u.failed_in, UPGRADE_CANARY);
}

/* Whatever comes: time alone ends it, it never leaves an end, and the old slot is restarted only
 * after a switchover. */
static void test_any_order(void **state)
{
	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 20000; round++) {
		struct upgrade_plan plan = whole;
		bool switched = false;
		struct upgrade u;
		uint64_t now = 0;

		plan.smoke = random() & 1;
		plan.n_canary = random() % 3;
		plan.probation_usec = random() % 2 * S;
		upgrade_init(&u, &plan);
		send(&u, UPGRADE_BEGIN, now);
		for (unsigned i = 0; i < 40 && !upgrade_ended(&u); i++) {
			bool jump = random() % 3 == 0;
			struct upgrade_input input = {
				.event = 1 + random() % UPGRADE_CANCEL,
				.now = now = jump ? upgrade_wake(&u) : now + 1,
				.ready = random() & 1,
				.lost = random() % 8 == 0,
			};
			bool counts = u.state == UPGRADE_SWITCH;
			unsigned actions = upgrade_step(&u, &input);

			switched |= counts && input.event == UPGRADE_SWITCHED;
			if (actions & UPGRADE_DO_RESTART_OLD)
				assert_true(switched);
			assert_int_equal(!!(actions & UPGRADE_DO_END), upgrade_ended(&u));
		}
		for (unsigned i = 0; i < 12 && !upgrade_ended(&u); i++)
			look(&u, upgrade_wake(&u), false, NULL);
		assert_true(upgrade_ended(&u));
		assert_int_equal(send(&u, UPGRADE_BEGIN, now), 0);
	}
}

/* ---- of an exclusive service ---- */

/* ---- connections that slots which stand by have left ---- */

static unsigned look_at_left(struct upgrade *u, uint64_t now, uint64_t left)
{
	struct upgrade_input input = {.event = UPGRADE_LOOK, .now = now, .left = left};

	return upgrade_step(u, &input);
}

static struct upgrade draining(const struct upgrade_plan *plan)
{
	struct upgrade_input input = {.event = UPGRADE_BEGIN, .left = 3};
	struct problem text;
	struct upgrade u;

	upgrade_init(&u, plan);
	assert_int_equal(upgrade_step(&u, &input), UPGRADE_DO_TELL);
	assert_int_equal(u.state, UPGRADE_RESTART);
	upgrade_progress(&u, S, 0, &text);
	assert_string_equal(text.text, "restart: 3 connections left on slot 1, which is waited for "
				       "29s at most");
	return u;
}

static void test_standby_is_drained_first(void **state)
{
	struct upgrade_plan plan = whole;
	struct problem text;
	struct upgrade u;

	(void)state;
	plan.drain_usec = 30 * S;
	u = draining(&plan);
	assert_int_equal(look_at_left(&u, 2 * S, 1), 0);
	/* of another change's job nothing follows */
	assert_int_equal(send(&u, UPGRADE_JOB_DONE, 2 * S), 0);
	assert_int_equal(look_at_left(&u, 3 * S, 0), UPGRADE_DO_TELL | UPGRADE_DO_RESTART_NEW);
	/* systemd has its own time for it */
	assert_int_equal(look_at_left(&u, 60 * S, 5), 0);
	assert_int_equal(send(&u, UPGRADE_JOB_DONE, 61 * S), UPGRADE_DO_TELL);
	u = draining(&plan);
	assert_int_equal(look_at_left(&u, 30 * S, 1), UPGRADE_DO_TELL | UPGRADE_DO_RESTART_NEW);
	u = draining(&plan);
	assert_int_equal(send(&u, UPGRADE_CANCEL, 2 * S), UPGRADE_DO_TELL | UPGRADE_DO_UNDO);
	assert_int_equal(look_at_left(&u, 30 * S, 0), 0);

	plan.keep = true;
	u = draining(&plan);
	assert_int_equal(look_at_left(&u, 30 * S, 1), UPGRADE_DO_TELL | UPGRADE_DO_UNDO);
	send(&u, UPGRADE_BACK, 30 * S);
	upgrade_describe(&u, "app", 30 * S, &text);
	assert_string_equal(
		text.text,
		"app: the upgrade was undone in its step \"restart\": slot 1 still has "
		"1 connection, which it keeps (DrainEnd=keep). Slot 0 serves as before.");
}

static void test_standby_is_needed_while_it_is_drained(void **state)
{
	struct upgrade_input input = {.event = UPGRADE_LOOK, .now = S, .left = 1};
	struct upgrade_plan plan = whole;
	struct problem text;
	struct upgrade u;

	(void)state;
	plan.drain_usec = 30 * S;
	u = draining(&plan);
	input.taken = true;
	assert_int_equal(upgrade_step(&u, &input), UPGRADE_DO_TELL | UPGRADE_DO_END);
	upgrade_describe(&u, "app", S, &text);
	assert_string_equal(text.text,
			    "app: the upgrade failed in its step \"restart\": slot 1 has "
			    "become the active one meanwhile.");
	u = draining(&plan);
	input.taken = false;
	input.ill = true;
	assert_int_equal(upgrade_step(&u, &input), UPGRADE_DO_TELL | UPGRADE_DO_END);
	upgrade_describe(&u, "app", S, &text);
	assert_non_null(strstr(text.text, "slot 1 is needed, as the active one is unhealthy"));
}

static void test_further_slots_are_drained(void **state)
{
	struct upgrade_plan plan = whole;
	struct problem text;
	struct upgrade u;
	uint64_t now;

	(void)state;
	plan.drain_usec = 30 * S;
	plan.others = 1U << 2 | 1U << 3;
	u = at(&plan, UPGRADE_REFRESH);
	now = u.entered + S;
	send(&u, UPGRADE_JOB_DONE, now);
	/* slot 2: after it has no more */
	assert_int_equal(look(&u, now, true, NULL), UPGRADE_DO_TELL);
	assert_int_equal(upgrade_slot(&u), 2);
	assert_int_equal(look_at_left(&u, now + S, 1), 0);
	assert_int_equal(look_at_left(&u, now + 2 * S, 0),
			 UPGRADE_DO_TELL | UPGRADE_DO_RESTART_OLD);
	send(&u, UPGRADE_JOB_DONE, now + 3 * S);
	/* slot 3 keeps its own */
	u.plan.keep = true;
	assert_int_equal(look(&u, now + 4 * S, true, NULL), UPGRADE_DO_TELL);
	assert_int_equal(look_at_left(&u, now + 34 * S, 1), UPGRADE_DO_TELL | UPGRADE_DO_END);
	upgrade_describe(&u, "app", u.begun + 60 * S, &text);
	assert_string_equal(text.text,
			    "app: upgraded in 1min; slot 1 is active. Slot 3 keeps its connections "
			    "and the old version (DrainEnd=keep); when they have ended: systemctl "
			    "restart app@3");
	u.left_alone = 1U << 0 | 1U << 2 | 1U << 3;
	upgrade_describe(&u, "app", u.begun + 60 * S, &text);
	assert_non_null(strstr(text.text, "Slots 0, 2 and 3 keep their connections"));
	assert_non_null(strstr(text.text, "systemctl restart app@0 app@2 app@3"));
}

static void test_ill_one_is_left_for_the_canary(void **state)
{
	struct upgrade_input input = {.event = UPGRADE_LOOK, .ready = true, .ill = true};
	struct upgrade u;

	(void)state;
	u = at(&whole, UPGRADE_SMOKE);
	input.now = u.entered + 1;
	assert_int_equal(upgrade_step(&u, &input), 0);
	u = at(&whole, UPGRADE_CANARY);
	input.now = u.entered + 1;
	assert_int_equal(upgrade_step(&u, &input), UPGRADE_DO_TELL | UPGRADE_DO_SWITCH);
	assert_int_equal(u.state, UPGRADE_SWITCH);
}

static const struct upgrade_plan alone = {
	.from = 0,
	.to = 1,
	.exclusive = true,
	.ready_usec = 30 * S,
	.probation_usec = 60 * S,
};

static struct upgrade alone_at(enum upgrade_state state)
{
	struct upgrade u;

	upgrade_init(&u, &alone);
	assert_int_equal(send(&u, UPGRADE_BEGIN, 0), UPGRADE_DO_TELL | UPGRADE_DO_SWITCH);
	if (u.state != state)
		assert_int_equal(send(&u, UPGRADE_SWITCHED, S), UPGRADE_DO_TELL);
	assert_int_equal(u.state, state);
	return u;
}

static void test_exclusive_way_through(void **state)
{
	struct upgrade_plan hasty = alone;
	struct problem text;
	struct upgrade u;

	(void)state;
	u = alone_at(UPGRADE_SWITCH);
	/* the new one is not there yet: that is for the switchover to judge */
	assert_int_equal(look(&u, 1, false, "slot 1 is down"), 0);
	u = alone_at(UPGRADE_PROBATION);
	assert_int_equal(look(&u, 2 * S, true, NULL), 0);
	/* nothing is restarted: the old slot stays down */
	assert_int_equal(look(&u, 61 * S, true, NULL), UPGRADE_DO_TELL | UPGRADE_DO_END);
	assert_int_equal(u.state, UPGRADE_DONE);
	upgrade_describe(&u, "app", 61 * S, &text);
	assert_string_equal(text.text,
			    "app: upgraded in 1min 1s; slot 1 is active, slot 0 is down, as only "
			    "one may run (Exclusive=yes); hsctl rollback app would start it with "
			    "what is installed for it then.");
	hasty.probation_usec = 0;
	upgrade_init(&u, &hasty);
	send(&u, UPGRADE_BEGIN, 0);
	assert_int_equal(send(&u, UPGRADE_SWITCHED, S), UPGRADE_DO_TELL | UPGRADE_DO_END);
}

static void test_exclusive_ways_back(void **state)
{
	struct upgrade_input input = {.event = UPGRADE_NOT_SWITCHED,
				      .now = S,
				      .why = "the smoke test failed",
				      .step = "smoke"};
	struct problem text;
	struct upgrade u;

	(void)state;
	u = alone_at(UPGRADE_SWITCH);
	assert_int_equal(upgrade_step(&u, &input), UPGRADE_DO_TELL | UPGRADE_DO_UNDO);
	assert_int_equal(send(&u, UPGRADE_BACK, 2 * S), UPGRADE_DO_TELL | UPGRADE_DO_END);
	upgrade_describe(&u, "app", 2 * S, &text);
	assert_string_equal(text.text, "app: the upgrade was undone in its step \"smoke\": the "
				       "smoke test failed. Slot 0 serves again: it was started "
				       "anew, with the version that is installed for it now.");

	/* a way back that takes its time, with deadlines of its own */
	u = alone_at(UPGRADE_PROBATION);
	assert_int_equal(look(&u, 2 * S, false, "slot 1 has ended"),
			 UPGRADE_DO_TELL | UPGRADE_DO_UNDO);
	assert_int_equal(look(&u, 300 * S, false, NULL), 0);
	input = (struct upgrade_input) {
		.event = UPGRADE_NOT_BACK, .now = 301 * S, .why = "slot 0: it did not start"};
	assert_int_equal(upgrade_step(&u, &input), UPGRADE_DO_TELL | UPGRADE_DO_END);
	upgrade_describe(&u, "app", 301 * S, &text);
	assert_string_equal(text.text,
			    "app: the upgrade failed in its step \"probation\": slot 1 has ended; "
			    "undoing it: slot 0: it did not start.");

	u = alone_at(UPGRADE_SWITCH);
	assert_int_equal(send(&u, UPGRADE_CANCEL, S), UPGRADE_DO_TELL | UPGRADE_DO_UNDO);
	input = (struct upgrade_input) {.event = UPGRADE_BACK, .now = 2 * S, .untouched = true};
	upgrade_step(&u, &input);
	upgrade_describe(&u, "app", 2 * S, &text);
	assert_string_equal(text.text, "app: the upgrade was undone in its step \"switch\": it was "
				       "cancelled. Slot 0 serves as before.");
}

static void test_exclusive_resume(void **state)
{
	struct upgrade u;

	(void)state;
	for (enum upgrade_state in = UPGRADE_SWITCH; in <= UPGRADE_UNDO; in++) {
		if (in == UPGRADE_REFRESH)
			continue;
		upgrade_init(&u, &alone);
		assert_true(upgrade_resume(&u, in, false, S) & UPGRADE_DO_UNDO);
		send(&u, UPGRADE_BACK, 2 * S);
		assert_int_equal(u.state, UPGRADE_UNDONE);
	}
	upgrade_init(&u, &alone);
	assert_int_equal(upgrade_resume(&u, UPGRADE_PROBATION, true, S),
			 UPGRADE_DO_TELL | UPGRADE_DO_END);
	assert_int_equal(u.state, UPGRADE_DONE);
}

/* Whatever the manager before has noted, be it of another version: it comes to an end. */
static void test_resume_from_anywhere(void **state)
{
	(void)state;
	for (unsigned in = 0; in < 256; in++)
		for (unsigned kind = 0; kind < 4; kind++) {
			const struct upgrade_plan *plan = kind & 1 ? &whole : &alone;
			bool serves = kind & 2, done = in == UPGRADE_REFRESH;
			struct upgrade u;
			unsigned actions;

			done |= serves && (in == UPGRADE_SWITCH || in == UPGRADE_PROBATION);
			upgrade_init(&u, plan);
			actions = upgrade_resume(&u, in, serves, S);
			assert_int_equal(!!(actions & UPGRADE_DO_UNDO), !done);
			for (unsigned i = 0; i < 12 && !upgrade_ended(&u); i++)
				look(&u, upgrade_wake(&u), false, NULL);
			assert_true(upgrade_ended(&u));
			/* of two that run, the old one is still to be restarted */
			assert_int_equal(u.state == UPGRADE_DONE, done && plan == &alone);
		}
}

static void test_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < UPGRADE_STATE_COUNT; i++)
		assert_int_equal(upgrade_state_from_string(upgrade_state_to_string(i)), i);
	assert_int_equal(upgrade_state_from_string("x"), UPGRADE_STATE_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_way_through),
		cmocka_unit_test(test_short_way),
		cmocka_unit_test(test_start_that_takes_its_time),
		cmocka_unit_test(test_more_than_two_slots),
		cmocka_unit_test(test_refresh_not_ready),
		cmocka_unit_test(test_old_connections_that_are_kept),
		cmocka_unit_test(test_progress_tells_what_is_left),
		cmocka_unit_test(test_ways_back),
		cmocka_unit_test(test_undo_that_fails_keeps_its_reason),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_standby_is_drained_first),
		cmocka_unit_test(test_standby_is_needed_while_it_is_drained),
		cmocka_unit_test(test_further_slots_are_drained),
		cmocka_unit_test(test_ill_one_is_left_for_the_canary),
		cmocka_unit_test(test_exclusive_way_through),
		cmocka_unit_test(test_exclusive_ways_back),
		cmocka_unit_test(test_exclusive_resume),
		cmocka_unit_test(test_resume_from_anywhere),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
