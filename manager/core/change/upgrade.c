// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/change/upgrade.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hs_abi.h"
#include "util/clock.h"
#include "util/macro.h"

/* Longer than systemd waits for a unit to start or stop by default: the unit's own timeouts count.
 */
#define JOB_DEADLINE  (600 * USEC_PER_SEC)
#define UNDO_DEADLINE (60 * USEC_PER_SEC)
/* A switchover has deadlines of its own, the longest of which is a drain of days. */
#define SWITCH_DEADLINE (UINT64_C(8) * 86400 * USEC_PER_SEC)

static const char *const state_names[] = {
	[UPGRADE_RESTART] = "restart", [UPGRADE_READY] = "ready",
	[UPGRADE_SMOKE] = "smoke",     [UPGRADE_CANARY] = "canary",
	[UPGRADE_SWITCH] = "switch",   [UPGRADE_PROBATION] = "probation",
	[UPGRADE_REFRESH] = "refresh", [UPGRADE_UNDO] = "undo",
	[UPGRADE_DONE] = "done",       [UPGRADE_UNDONE] = "undone",
	[UPGRADE_FAILED] = "failed",
};
_Static_assert(ARRAY_SIZE(state_names) == UPGRADE_STATE_COUNT, "a name for each state");

void upgrade_init(struct upgrade *u, const struct upgrade_plan *plan)
{
	assert(plan->from < HS_SLOTS_MAX && plan->to < HS_SLOTS_MAX && plan->from != plan->to);
	assert(plan->n_canary <= UPGRADE_CANARY_STEPS_MAX);
	*u = (struct upgrade) {.plan = *plan, .state = UPGRADE_RESTART};
}

bool upgrade_ended(const struct upgrade *u)
{
	return u->state == UPGRADE_DONE || u->state == UPGRADE_UNDONE || u->state == UPGRADE_FAILED;
}

bool upgrade_can_undo(const struct upgrade *u)
{
	return u->state < UPGRADE_REFRESH;
}

uint64_t upgrade_wake(const struct upgrade *u)
{
	return upgrade_ended(u) ? USEC_INFINITY : u->deadline;
}

unsigned upgrade_slot(const struct upgrade *u)
{
	return u->state == UPGRADE_REFRESH ? u->refreshing : u->plan.to;
}

uint32_t upgrade_share(const struct upgrade *u)
{
	return u->state == UPGRADE_CANARY ? u->plan.canary[u->step] : 0;
}

const char *upgrade_state_to_string(enum upgrade_state state)
{
	return state < UPGRADE_STATE_COUNT ? state_names[state] : "unknown";
}

enum upgrade_state upgrade_state_from_string(const char *text)
{
	for (unsigned i = 0; i < UPGRADE_STATE_COUNT; i++)
		if (!strcmp(text, state_names[i]))
			return i;
	return UPGRADE_STATE_COUNT;
}

/* Where each state may lead. The old instance is restarted after a switchover only, and an end is
 * never left. */
#define TO(state) (1U << (state))
static const unsigned ways[UPGRADE_STATE_COUNT] = {
	/* an exclusive one begins with its switchover */
	[UPGRADE_RESTART] = TO(UPGRADE_RESTART) | TO(UPGRADE_READY) | TO(UPGRADE_SWITCH) |
			    TO(UPGRADE_UNDO) | TO(UPGRADE_FAILED),
	[UPGRADE_READY] =
		TO(UPGRADE_SMOKE) | TO(UPGRADE_CANARY) | TO(UPGRADE_SWITCH) | TO(UPGRADE_UNDO),
	[UPGRADE_SMOKE] = TO(UPGRADE_CANARY) | TO(UPGRADE_SWITCH) | TO(UPGRADE_UNDO),
	[UPGRADE_CANARY] = TO(UPGRADE_CANARY) | TO(UPGRADE_SWITCH) | TO(UPGRADE_UNDO),
	[UPGRADE_SWITCH] =
		TO(UPGRADE_PROBATION) | TO(UPGRADE_REFRESH) | TO(UPGRADE_DONE) | TO(UPGRADE_UNDO),
	[UPGRADE_PROBATION] = TO(UPGRADE_REFRESH) | TO(UPGRADE_DONE) | TO(UPGRADE_UNDO),
	[UPGRADE_REFRESH] = TO(UPGRADE_REFRESH) | TO(UPGRADE_DONE) | TO(UPGRADE_FAILED),
	/* once more by the next manager */
	[UPGRADE_UNDO] = TO(UPGRADE_UNDO) | TO(UPGRADE_UNDONE) | TO(UPGRADE_FAILED),
};

/* The one place where the state changes. */
static unsigned set_state(struct upgrade *u, enum upgrade_state state, uint64_t now,
			  uint64_t allowed)
{
	assert(ways[u->state] & TO(state));
	u->state = state;
	u->draining = false;
	u->entered = now;
	u->deadline = now + allowed;
	return UPGRADE_DO_TELL | (upgrade_ended(u) ? UPGRADE_DO_END : 0);
}

static unsigned undo(struct upgrade *u, uint64_t now, const char *why)
{
	u->failed_in = u->state;
	problem_set(&u->failure, 0, "%s", why);
	return set_state(u, UPGRADE_UNDO, now,
			 u->plan.exclusive ? SWITCH_DEADLINE : UNDO_DEADLINE) |
	       UPGRADE_DO_UNDO;
}

static unsigned fail(struct upgrade *u, uint64_t now, const char *why)
{
	/* while undoing, what it is undone for is the better reason */
	if (u->state != UPGRADE_UNDO) {
		u->failed_in = u->state;
		problem_set(&u->failure, 0, "%s", why);
	} else {
		problem_set(&u->no_way_back, 0, "%s", why);
	}
	return set_state(u, UPGRADE_FAILED, now, 0);
}

static unsigned restart_new(struct upgrade *u, uint64_t now)
{
	return set_state(u, UPGRADE_RESTART, now, JOB_DEADLINE) | UPGRADE_DO_RESTART_NEW;
}

/* The connections of a slot that stands by. */
static unsigned drain(struct upgrade *u, enum upgrade_state state, uint64_t now, uint64_t left)
{
	unsigned actions = set_state(u, state, now, u->plan.drain_usec);

	u->draining = true;
	u->left = left;
	return actions;
}

/* One that has stood by since it was left may have long connections still. */
static unsigned begin(struct upgrade *u, const struct upgrade_input *input)
{
	u->begun = input->now;
	if (u->plan.exclusive)
		return set_state(u, UPGRADE_SWITCH, input->now, SWITCH_DEADLINE) |
		       UPGRADE_DO_SWITCH;
	if (!input->left)
		return restart_new(u, input->now);
	return drain(u, UPGRADE_RESTART, input->now, input->left);
}

static unsigned enter_switch(struct upgrade *u, uint64_t now)
{
	return set_state(u, UPGRADE_SWITCH, now, SWITCH_DEADLINE) | UPGRADE_DO_SWITCH;
}

static unsigned enter_canary(struct upgrade *u, uint64_t now)
{
	if (u->step >= u->plan.n_canary)
		return enter_switch(u, now);
	return set_state(u, UPGRADE_CANARY, now, u->plan.hold_usec) | UPGRADE_DO_CANARY;
}

static unsigned enter_smoke(struct upgrade *u, uint64_t now)
{
	if (!u->plan.smoke)
		return enter_canary(u, now);
	return set_state(u, UPGRADE_SMOKE, now, u->plan.smoke_usec) | UPGRADE_DO_SMOKE;
}

static unsigned restart_old(struct upgrade *u, uint64_t now)
{
	return set_state(u, UPGRADE_REFRESH, now, JOB_DEADLINE) | UPGRADE_DO_RESTART_OLD;
}

/* The one that was active has been waited for by the switchover. */
static unsigned refresh(struct upgrade *u, unsigned slot, uint64_t now)
{
	u->refreshing = slot;
	u->to_refresh &= ~(1U << slot);
	u->restarted = false;
	if (slot == u->plan.from)
		return restart_old(u, now);
	return drain(u, UPGRADE_REFRESH, now, 0);
}

/* An exclusive service has no standby to refresh. */
static unsigned enter_refresh(struct upgrade *u, uint64_t now)
{
	if (u->plan.exclusive)
		return set_state(u, UPGRADE_DONE, now, 0);
	u->to_refresh = u->plan.others;
	return refresh(u, u->plan.from, now);
}

static unsigned refresh_next(struct upgrade *u, uint64_t now)
{
	if (u->to_refresh)
		return refresh(u, __builtin_ctz(u->to_refresh), now);
	return set_state(u, UPGRADE_DONE, now, 0);
}

/* What the end of a state's time means, where nothing else came first. */
static unsigned on_deadline(struct upgrade *u, uint64_t now)
{
	switch (u->state) {
	case UPGRADE_RESTART:
		return undo(u, now, "the new instance took too long to start");
	case UPGRADE_SMOKE:
		return undo(u, now, "the smoke test took too long");
	case UPGRADE_CANARY:
		u->step++;
		return enter_canary(u, now);
	case UPGRADE_SWITCH:
		return undo(u, now, "the switchover took too long");
	case UPGRADE_PROBATION:
		return enter_refresh(u, now);
	default:
		return fail(u, now, "it could not be undone in time");
	}
}

static unsigned give_up_waiting(struct upgrade *u, const struct upgrade_input *input)
{
	bool refreshing = u->state == UPGRADE_REFRESH;
	struct problem why;

	problem_set(&why, 0, "the %s did not become ready and healthy in time%s%.300s",
		    refreshing ? "old slot" : "new instance", input->why && *input->why ? ": " : "",
		    input->why ?: "");
	return refreshing ? fail(u, input->now, why.text) : undo(u, input->now, why.text);
}

static unsigned leave_alone(struct upgrade *u, uint64_t now)
{
	u->left_alone |= 1U << u->refreshing;
	return refresh_next(u, now);
}

static unsigned keep_standby(struct upgrade *u, const struct upgrade_input *input)
{
	struct problem why;

	problem_set(&why, 0,
		    "slot %u still has %" PRIu64 " connection%s, which it keeps (DrainEnd=keep)",
		    u->plan.to, input->left, input->left == 1 ? "" : "s");
	return undo(u, input->now, why.text);
}

/* Who is needed to serve is not restarted: there is no way back to one that has ended or is ill,
 * and none is wanted. */
static unsigned give_way(struct upgrade *u, const struct upgrade_input *input)
{
	struct problem why;

	problem_set(&why, 0,
		    input->taken ? "slot %u has become the active one meanwhile"
				 : "slot %u is needed, as the active one is unhealthy",
		    u->plan.to);
	return fail(u, input->now, why.text);
}

static unsigned on_look_draining(struct upgrade *u, const struct upgrade_input *input)
{
	bool refreshing = u->state == UPGRADE_REFRESH;

	u->left = input->left;
	if (!refreshing && (input->taken || input->ill))
		return give_way(u, input);
	if (input->left && input->now < u->deadline)
		return 0;
	if (input->left && u->plan.keep)
		return refreshing ? leave_alone(u, input->now) : keep_standby(u, input);
	return refreshing ? restart_old(u, input->now) : restart_new(u, input->now);
}

static unsigned on_look_refreshing(struct upgrade *u, const struct upgrade_input *input)
{
	if (u->restarted && input->ready)
		return refresh_next(u, input->now);
	if (input->now < u->deadline)
		return 0;
	if (u->restarted)
		return give_up_waiting(u, input);
	return fail(u, input->now, "the old slot took too long to restart");
}

/* From SMOKE to PROBATION the new one has to stay well. An exclusive switchover, which stops one
 * before it starts the other, looks after that itself. */
static bool must_be_well(const struct upgrade *u)
{
	if (u->plan.exclusive)
		return u->state == UPGRADE_PROBATION;
	return u->state > UPGRADE_READY && u->state < UPGRADE_REFRESH;
}

/* From now on its time runs, where somebody has said how much it has. */
static void on_starting(struct upgrade *u, uint64_t now)
{
	u->starting = true;
	if (u->plan.start_usec)
		u->deadline = now + u->plan.start_usec;
}

static unsigned on_look(struct upgrade *u, const struct upgrade_input *input)
{
	if (u->draining)
		return on_look_draining(u, input);
	if (u->state == UPGRADE_REFRESH)
		return on_look_refreshing(u, input);
	if (u->state == UPGRADE_RESTART && input->starting && !u->starting)
		on_starting(u, input->now);
	if (input->lost && must_be_well(u))
		return undo(u, input->now, input->why ? input->why : "the new instance was lost");
	if (u->state == UPGRADE_READY && input->ready)
		return enter_smoke(u, input->now);
	/* all but its share of clients are with one that is ill */
	if (u->state == UPGRADE_CANARY && input->ill)
		return enter_switch(u, input->now);
	if (u->state == UPGRADE_READY && input->now >= u->deadline)
		return give_up_waiting(u, input);
	return input->now >= u->deadline ? on_deadline(u, input->now) : 0;
}

static unsigned on_job(struct upgrade *u, const struct upgrade_input *input)
{
	bool done = input->event == UPGRADE_JOB_DONE;

	/* that was another's */
	if (u->draining)
		return 0;
	if (u->state == UPGRADE_RESTART && done)
		return set_state(u, UPGRADE_READY, input->now, u->plan.ready_usec);
	if (u->state == UPGRADE_RESTART)
		return undo(u, input->now, input->why ?: "the new instance did not start");
	if (u->state == UPGRADE_REFRESH && done) {
		u->restarted = true;
		u->deadline = input->now + u->plan.ready_usec;
		return 0;
	}
	if (u->state == UPGRADE_REFRESH)
		return fail(u, input->now, input->why ?: "the old slot did not start again");
	return 0;
}

static unsigned on_smoke(struct upgrade *u, const struct upgrade_input *input)
{
	if (u->state != UPGRADE_SMOKE)
		return 0;
	if (input->event == UPGRADE_SMOKE_DONE)
		return enter_canary(u, input->now);
	return undo(u, input->now, input->why ?: "the smoke test failed");
}

static unsigned on_switch(struct upgrade *u, const struct upgrade_input *input)
{
	if (u->state != UPGRADE_SWITCH)
		return 0;
	u->failed_step = input->step;
	if (input->event == UPGRADE_NOT_SWITCHED)
		return undo(u, input->now, input->why ?: "the switchover did not come about");
	u->failed_step = NULL;
	if (!u->plan.probation_usec)
		return enter_refresh(u, input->now);
	return set_state(u, UPGRADE_PROBATION, input->now, u->plan.probation_usec);
}

static unsigned on_left_alone(struct upgrade *u, uint64_t now)
{
	return u->state == UPGRADE_REFRESH ? leave_alone(u, now) : 0;
}

static unsigned on_undone(struct upgrade *u, const struct upgrade_input *input)
{
	if (u->state != UPGRADE_UNDO)
		return 0;
	u->untouched = input->untouched;
	if (input->step)
		u->failed_step = input->step;
	if (input->event == UPGRADE_BACK)
		return set_state(u, UPGRADE_UNDONE, input->now, 0);
	return fail(u, input->now, input->why ?: "");
}

unsigned upgrade_step(struct upgrade *u, const struct upgrade_input *input)
{
	if (upgrade_ended(u))
		return 0;
	switch (input->event) {
	case UPGRADE_BEGIN:
		return begin(u, input);
	case UPGRADE_JOB_DONE:
	case UPGRADE_JOB_FAILED:
		return on_job(u, input);
	case UPGRADE_LOOK:
		return on_look(u, input);
	case UPGRADE_LEFT_ALONE:
		return on_left_alone(u, input->now);
	case UPGRADE_SMOKE_DONE:
	case UPGRADE_SMOKE_FAILED:
		return on_smoke(u, input);
	case UPGRADE_SWITCHED:
	case UPGRADE_NOT_SWITCHED:
		return on_switch(u, input);
	case UPGRADE_BACK:
	case UPGRADE_NOT_BACK:
		return on_undone(u, input);
	case UPGRADE_CANCEL:
		return upgrade_can_undo(u) ? undo(u, input->now, input->why ?: "it was cancelled")
					   : 0;
	}
	return 0;
}

unsigned upgrade_resume(struct upgrade *u, enum upgrade_state state, bool serves, uint64_t now)
{
	u->begun = now;
	u->resumed = true;
	/* what else a manager of another version may have noted: it had not ended */
	u->state = state < UPGRADE_DONE ? state : UPGRADE_RESTART;
	if (state == UPGRADE_REFRESH ||
	    (serves && (state == UPGRADE_SWITCH || state == UPGRADE_PROBATION)))
		return enter_refresh(u, now);
	return undo(u, now, "hsd was gone meanwhile");
}

static void describe_canary(const struct upgrade *u, const char *left, struct problem *ret_line)
{
	problem_set(ret_line, 0, "canary: slot %u gets %.4g%% of new connections, %s left",
		    u->plan.to, upgrade_share(u) * 100 / 65536.0, left);
}

/* "", or how many connections the old slot still has. */
static void describe_rest(const struct upgrade *u, uint64_t remaining, char text[64])
{
	text[0] = '\0';
	if (remaining)
		snprintf(text, 64, "; %" PRIu64 " connection%s left on slot %u", remaining,
			 remaining == 1 ? "" : "s", u->plan.from);
}

/* A slot that stands by, before it is restarted. */
static void describe_draining(const struct upgrade *u, const char *left, struct problem *ret_line)
{
	problem_set(ret_line, 0,
		    "%s: %" PRIu64 " connection%s left on slot %u, which is waited "
		    "for %s at most",
		    upgrade_state_to_string(u->state), u->left, u->left == 1 ? "" : "s",
		    upgrade_slot(u), left);
}

static void describe_switch(const struct upgrade *u, const char *rest, struct problem *ret_line)
{
	if (u->plan.exclusive)
		problem_set(ret_line, 0,
			    "switch: slot %u stops, and slot %u starts the new version",
			    u->plan.from, u->plan.to);
	else
		problem_set(ret_line, 0, "switch: new connections go to slot %u%s", u->plan.to,
			    rest);
}

void upgrade_progress(const struct upgrade *u, uint64_t now, uint64_t remaining,
		      struct problem *ret_line)
{
	uint64_t until = u->deadline > now ? u->deadline - now : 0;
	unsigned to = u->plan.to;
	char left[SPAN_TEXT_MAX], rest[64];

	/* whole seconds; what has begun is left: a step of one second does not begin with "0 left"
	 */
	span_format((until + USEC_PER_SEC - 1) / USEC_PER_SEC * USEC_PER_SEC, left, sizeof(left));
	describe_rest(u, remaining, rest);
	if (u->draining && u->left)
		describe_draining(u, left, ret_line);
	else if (u->state == UPGRADE_RESTART)
		problem_set(ret_line, 0, "restart: slot %u starts the new version", to);
	else if (u->state == UPGRADE_READY)
		problem_set(ret_line, 0, "ready: waiting until slot %u is ready and healthy", to);
	else if (u->state == UPGRADE_SMOKE)
		problem_set(ret_line, 0, "smoke: testing slot %u, %s left", to, left);
	else if (u->state == UPGRADE_CANARY)
		describe_canary(u, left, ret_line);
	else if (u->state == UPGRADE_SWITCH)
		describe_switch(u, rest, ret_line);
	else if (u->state == UPGRADE_PROBATION)
		problem_set(ret_line, 0, "probation: slot %u is watched, %s left%s", to, left,
			    rest);
	else if (u->state == UPGRADE_REFRESH)
		problem_set(ret_line, 0, "refresh: slot %u starts the new version and stands by",
			    u->refreshing);
	else if (u->state == UPGRADE_UNDO)
		problem_set(ret_line, 0, "undo: %.350s; traffic goes back to slot %u%s",
			    u->failure.text, u->plan.from,
			    u->plan.exclusive ? ", which starts with what is installed for it now"
					      : "");
	else
		problem_set(ret_line, 0, "%s", upgrade_state_to_string(u->state));
}

/* "0", "0 and 2", "0, 2 and 3"; and units to be restarted: "app@0 app@2". */
static void list_left_alone(const struct upgrade *u, const char *service, char slots[64],
			    struct problem *ret_units)
{
	uint32_t rest = u->left_alone;
	size_t n = 0;

	ret_units->text[0] = '\0';
	for (unsigned slot; rest; rest &= rest - 1) {
		struct problem before = *ret_units;

		slot = (unsigned)__builtin_ctz(rest);
		n += (size_t)snprintf(slots + n, 64 - n, "%s%u",
				      !n		  ? ""
				      : rest & (rest - 1) ? ", "
							  : " and ",
				      slot);
		problem_set(ret_units, 0, "%.380s%s%.64s@%u", before.text,
			    before.text[0] ? " " : "", service, slot);
	}
}

static void describe_left_alone(const struct upgrade *u, const char *service, const char *took,
				struct problem *ret_sentence)
{
	bool one = !(u->left_alone & (u->left_alone - 1));
	struct problem units;
	char slots[64];

	list_left_alone(u, service, slots, &units);
	problem_set(
		ret_sentence, 0,
		"%s: upgraded in %s; slot %u is active. Slot%s %s keep%s %s connections and the "
		"old version (DrainEnd=keep); when they have ended: systemctl restart %.250s",
		service, took, u->plan.to, one ? "" : "s", slots, one ? "s" : "",
		one ? "its" : "their", units.text);
}

static void describe_done(const struct upgrade *u, const char *service, const char *took,
			  struct problem *ret_sentence)
{
	const struct upgrade_plan *plan = &u->plan;

	if (plan->exclusive)
		problem_set(ret_sentence, 0,
			    "%s: upgraded in %s; slot %u is active, slot %u is down, as only one "
			    "may run (Exclusive=yes); hsctl rollback %s would start it with what "
			    "is installed for it then.",
			    service, took, plan->to, plan->from, service);
	else if (u->left_alone)
		describe_left_alone(u, service, took, ret_sentence);
	else
		problem_set(ret_sentence, 0,
			    "%s: upgraded in %s; slot %u is active, slot %u stands by with the new "
			    "version%s.",
			    service, took, plan->to, plan->from,
			    plan->others ? ", and so do the others" : "");
}

/* What became of the slot that was active. */
static void describe_back(const struct upgrade *u, struct problem *ret_text)
{
	unsigned from = u->plan.from;

	if (u->untouched || !u->plan.exclusive)
		problem_set(ret_text, 0, "Slot %u serves as before", from);
	else if (u->resumed)
		problem_set(ret_text, 0, "Slot %u serves", from);
	else
		problem_set(ret_text, 0,
			    "Slot %u serves again: it was started anew, with the version that is "
			    "installed for it now",
			    from);
}

void upgrade_describe(const struct upgrade *u, const char *service, uint64_t now,
		      struct problem *ret_sentence)
{
	const char *step = u->failed_step ?: upgrade_state_to_string(u->failed_in);
	char took[SPAN_TEXT_MAX];
	struct problem back;

	describe_back(u, &back);
	span_format((now - u->begun) / USEC_PER_MSEC * USEC_PER_MSEC, took, sizeof(took));
	if (u->state == UPGRADE_DONE)
		describe_done(u, service, took, ret_sentence);
	else if (u->state == UPGRADE_UNDONE)
		problem_set(ret_sentence, 0,
			    "%s: the upgrade was undone in its step \"%s\": %.200s. %.120s.",
			    service, step, u->failure.text, back.text);
	else
		problem_set(ret_sentence, 0,
			    "%s: the upgrade failed in its step \"%s\": %.200s%s%.150s.", service,
			    step, u->failure.text, u->no_way_back.text[0] ? "; undoing it: " : "",
			    u->no_way_back.text);
}
