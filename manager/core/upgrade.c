// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/upgrade.h"

#include <string.h>

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

uint32_t upgrade_share(const struct upgrade *u)
{
	return u->step < u->plan.n_canary ? u->plan.canary[u->step] : 0;
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

/* The one place where the state changes. */
static unsigned set_state(struct upgrade *u, enum upgrade_state state, uint64_t now,
			  uint64_t allowed)
{
	u->state = state;
	u->entered = now;
	u->deadline = now + allowed;
	return UPGRADE_DO_TELL | (upgrade_ended(u) ? UPGRADE_DO_END : 0);
}

static unsigned undo(struct upgrade *u, uint64_t now, const char *why)
{
	u->failed_in = u->state;
	problem_set(&u->failure, 0, "%s", why);
	return set_state(u, UPGRADE_UNDO, now, UNDO_DEADLINE) | UPGRADE_DO_UNDO;
}

static unsigned fail(struct upgrade *u, uint64_t now, const char *why)
{
	/* while undoing, what it is undone for is the better reason */
	if (u->state != UPGRADE_UNDO) {
		u->failed_in = u->state;
		problem_set(&u->failure, 0, "%s", why);
	}
	return set_state(u, UPGRADE_FAILED, now, 0);
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

static unsigned enter_refresh(struct upgrade *u, uint64_t now)
{
	return set_state(u, UPGRADE_REFRESH, now, JOB_DEADLINE) | UPGRADE_DO_RESTART_OLD;
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
	case UPGRADE_REFRESH:
		return fail(u, now, "the old slot took too long to restart");
	default:
		return fail(u, now, "it could not be undone in time");
	}
}

static unsigned give_up_waiting(struct upgrade *u, const struct upgrade_input *input)
{
	struct problem why;

	problem_set(&why, 0, "the new instance did not become ready and healthy in time%s%.300s",
		    input->why && *input->why ? ": " : "", input->why ?: "");
	return undo(u, input->now, why.text);
}

static unsigned on_look(struct upgrade *u, const struct upgrade_input *input)
{
	/* from SMOKE to PROBATION the new one has to stay well */
	if (input->lost && u->state > UPGRADE_READY && u->state < UPGRADE_REFRESH)
		return undo(u, input->now, input->why ? input->why : "the new instance was lost");
	if (u->state == UPGRADE_READY && input->ready)
		return enter_smoke(u, input->now);
	if (u->state == UPGRADE_READY && input->now >= u->deadline)
		return give_up_waiting(u, input);
	return input->now >= u->deadline ? on_deadline(u, input->now) : 0;
}

static unsigned on_job(struct upgrade *u, const struct upgrade_input *input)
{
	bool done = input->event == UPGRADE_JOB_DONE;

	if (u->state == UPGRADE_RESTART && done)
		return set_state(u, UPGRADE_READY, input->now, u->plan.ready_usec);
	if (u->state == UPGRADE_RESTART)
		return undo(u, input->now, input->why ?: "the new instance did not start");
	if (u->state == UPGRADE_REFRESH && done)
		return set_state(u, UPGRADE_DONE, input->now, 0);
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
	if (input->event == UPGRADE_NOT_SWITCHED)
		return undo(u, input->now, input->why ?: "the switchover did not come about");
	if (!u->plan.probation_usec)
		return enter_refresh(u, input->now);
	return set_state(u, UPGRADE_PROBATION, input->now, u->plan.probation_usec);
}

static unsigned on_undone(struct upgrade *u, const struct upgrade_input *input)
{
	if (u->state != UPGRADE_UNDO)
		return 0;
	if (input->event == UPGRADE_BACK)
		return set_state(u, UPGRADE_UNDONE, input->now, 0);
	return fail(u, input->now, "");
}

unsigned upgrade_step(struct upgrade *u, const struct upgrade_input *input)
{
	if (upgrade_ended(u))
		return 0;
	switch (input->event) {
	case UPGRADE_BEGIN:
		u->begun = input->now;
		return set_state(u, UPGRADE_RESTART, input->now, JOB_DEADLINE) |
		       UPGRADE_DO_RESTART_NEW;
	case UPGRADE_JOB_DONE:
	case UPGRADE_JOB_FAILED:
		return on_job(u, input);
	case UPGRADE_LOOK:
		return on_look(u, input);
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
		return upgrade_can_undo(u) ? undo(u, input->now, "it was cancelled") : 0;
	}
	return 0;
}

unsigned upgrade_resume(struct upgrade *u, enum upgrade_state state, bool serves, uint64_t now)
{
	u->begun = now;
	u->state = state;
	if (state == UPGRADE_REFRESH ||
	    (serves && (state == UPGRADE_SWITCH || state == UPGRADE_PROBATION)))
		return enter_refresh(u, now);
	return undo(u, now, "hsd was gone meanwhile");
}

void upgrade_progress(const struct upgrade *u, uint64_t now, struct problem *ret_line)
{
	const struct upgrade_plan *plan = &u->plan;
	char left[SPAN_TEXT_MAX];

	span_format((u->deadline > now ? u->deadline - now : 0) / USEC_PER_SEC * USEC_PER_SEC, left,
		    sizeof(left));
	switch (u->state) {
	case UPGRADE_RESTART:
		problem_set(ret_line, 0, "restart: slot %u starts the new version", plan->to);
		break;
	case UPGRADE_READY:
		problem_set(ret_line, 0, "ready: waiting until slot %u is ready and healthy",
			    plan->to);
		break;
	case UPGRADE_SMOKE:
		problem_set(ret_line, 0, "smoke: testing slot %u", plan->to);
		break;
	case UPGRADE_CANARY:
		problem_set(ret_line, 0, "canary: slot %u gets %.4g%% of new connections, %s left",
			    plan->to, upgrade_share(u) * 100 / 65536.0, left);
		break;
	case UPGRADE_SWITCH:
		problem_set(ret_line, 0, "switch: new connections go to slot %u", plan->to);
		break;
	case UPGRADE_PROBATION:
		problem_set(ret_line, 0, "probation: slot %u is watched, %s left", plan->to, left);
		break;
	case UPGRADE_REFRESH:
		problem_set(ret_line, 0, "refresh: slot %u starts the new version and stands by",
			    plan->from);
		break;
	case UPGRADE_UNDO:
		problem_set(ret_line, 0, "undo: %.400s; traffic goes back to slot %u",
			    u->failure.text, plan->from);
		break;
	default:
		problem_set(ret_line, 0, "%s", upgrade_state_to_string(u->state));
	}
}

void upgrade_describe(const struct upgrade *u, const char *service, uint64_t now,
		      struct problem *ret_sentence)
{
	const struct upgrade_plan *plan = &u->plan;
	char took[SPAN_TEXT_MAX];

	span_format((now - u->begun) / USEC_PER_MSEC * USEC_PER_MSEC, took, sizeof(took));
	if (u->state == UPGRADE_DONE)
		problem_set(ret_sentence, 0,
			    "%s: upgraded in %s; slot %u is active, slot %u stands by with the new "
			    "version.",
			    service, took, plan->to, plan->from);
	else if (u->state == UPGRADE_UNDONE)
		problem_set(ret_sentence, 0,
			    "%s: the upgrade was undone in its step \"%s\": %.300s. Slot %u serves "
			    "as before.",
			    service, upgrade_state_to_string(u->failed_in), u->failure.text,
			    plan->from);
	else
		problem_set(ret_sentence, 0, "%s: the upgrade failed in its step \"%s\": %.300s.",
			    service, upgrade_state_to_string(u->failed_in), u->failure.text);
}
