// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/exclusive.h"

#include <inttypes.h>

#include "util/clock.h"
#include "util/macro.h"

/* The units' own timeouts are what counts; this is for a systemd that never answers. */
#define JOB_DEADLINE (600 * USEC_PER_SEC)
/* A unit that has started, and whose sockets are still to come. */
#define ADOPT_DEADLINE (10 * USEC_PER_SEC)

#define POLL_MIN (5 * USEC_PER_MSEC)
#define POLL_MAX (250 * USEC_PER_MSEC)

static const struct {
	const char *name;
	unsigned actions;
} steps[] = {
	[EXCLUSIVE_HOLD] = {"hold", EXCLUSIVE_DO_HOLD},
	[EXCLUSIVE_STOP] = {"stop", EXCLUSIVE_DO_STOP_OLD},
	[EXCLUSIVE_START] = {"start", EXCLUSIVE_DO_START_NEW},
	[EXCLUSIVE_STOP_NEW] = {"stop-new", EXCLUSIVE_DO_STOP_NEW},
	[EXCLUSIVE_START_OLD] = {"start-old", EXCLUSIVE_DO_START_OLD},
	[EXCLUSIVE_DONE] = {"done", EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END},
	[EXCLUSIVE_UNDONE] = {"undone", EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END},
	[EXCLUSIVE_FAILED] = {"failed", EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END},
};
_Static_assert(ARRAY_SIZE(steps) == EXCLUSIVE_STATE_COUNT, "a step for each state");

bool exclusive_is_up(enum slot_state state)
{
	return state != SLOT_DOWN && state != SLOT_FAILED;
}

bool exclusive_ended(const struct exclusive *e)
{
	return e->state >= EXCLUSIVE_DONE;
}

/* The one place where the state changes. */
static unsigned set_state(struct exclusive *e, enum exclusive_state state, uint64_t now)
{
	e->state = state;
	e->entered = now;
	e->job_done = false;
	e->deadline = now + (state == EXCLUSIVE_HOLD ? e->plan.drain_usec : JOB_DEADLINE);
	return steps[state].actions | EXCLUSIVE_DO_TELL;
}

unsigned exclusive_begin(struct exclusive *e, const struct exclusive_plan *plan,
			 enum exclusive_state state, uint64_t now)
{
	*e = (struct exclusive) {.plan = *plan, .begun = now};
	return set_state(e, state, now);
}

static unsigned give_up(struct exclusive *e, uint64_t now, const char *why)
{
	e->failure = why;
	return set_state(e, EXCLUSIVE_STOP_NEW, now);
}

static unsigned on_hold(struct exclusive *e, const struct exclusive_input *input)
{
	bool told = e->remaining == input->remaining;

	e->remaining = input->remaining;
	if (!input->remaining || input->now >= e->deadline)
		return set_state(e, EXCLUSIVE_STOP, input->now);
	return told ? 0 : EXCLUSIVE_DO_TELL;
}

/* Whatever systemd says of its job, it is the old one's state that counts. */
static unsigned on_stop(struct exclusive *e, const struct exclusive_input *input)
{
	if (input->event == EXCLUSIVE_TICK && input->now < e->deadline)
		return 0;
	if (input->event == EXCLUSIVE_JOB_DONE || !exclusive_is_up(input->old_slot))
		return set_state(e, EXCLUSIVE_START, input->now);
	e->failure = "the old instance could not be stopped";
	/* it serves on, or systemd will have it again */
	return set_state(e, EXCLUSIVE_START_OLD, input->now);
}

/* An instance that is being started: 1 it is ready, -1 it will not be. */
static int came(struct exclusive *e, const struct exclusive_input *input, enum slot_state state)
{
	if (input->event == EXCLUSIVE_JOB_FAILED)
		return -1;
	if (input->event == EXCLUSIVE_JOB_DONE) {
		e->job_done = true;
		e->deadline = input->now + ADOPT_DEADLINE;
	}
	if (e->job_done && state == SLOT_READY)
		return 1;
	return input->now >= e->deadline || (e->job_done && !exclusive_is_up(state)) ? -1 : 0;
}

static unsigned on_start(struct exclusive *e, const struct exclusive_input *input)
{
	int r = came(e, input, input->new_slot);

	if (r > 0)
		return set_state(e, EXCLUSIVE_DONE, input->now);
	if (!r)
		return 0;
	return give_up(e, input->now,
		       e->job_done ? "its sockets could not be adopted" : "it did not start");
}

static unsigned on_start_old(struct exclusive *e, const struct exclusive_input *input)
{
	int r = came(e, input, input->old_slot);

	if (!r)
		return 0;
	return set_state(e, r > 0 ? EXCLUSIVE_UNDONE : EXCLUSIVE_FAILED, input->now);
}

unsigned exclusive_step(struct exclusive *e, const struct exclusive_input *input)
{
	switch (e->state) {
	case EXCLUSIVE_HOLD:
		return on_hold(e, input);
	case EXCLUSIVE_STOP:
		return on_stop(e, input);
	case EXCLUSIVE_START:
		return on_start(e, input);
	case EXCLUSIVE_STOP_NEW:
		/* one that cannot be stopped must not be joined by the other */
		if (input->event == EXCLUSIVE_TICK && input->now < e->deadline)
			return 0;
		if (input->event != EXCLUSIVE_JOB_DONE && exclusive_is_up(input->new_slot))
			return set_state(e, EXCLUSIVE_FAILED, input->now);
		return set_state(e, EXCLUSIVE_START_OLD, input->now);
	case EXCLUSIVE_START_OLD:
		return on_start_old(e, input);
	default:
		return 0;
	}
}

uint64_t exclusive_wake(const struct exclusive *e, uint64_t now)
{
	uint64_t poll;

	if (exclusive_ended(e))
		return USEC_INFINITY;
	if (e->state != EXCLUSIVE_HOLD)
		return e->deadline;
	poll = MIN(MAX((now - e->entered) / 10, POLL_MIN), POLL_MAX);
	return MIN(now + poll, e->deadline);
}

enum exclusive_state exclusive_resume(const enum slot_state *states, unsigned n, unsigned from,
				      unsigned *ret_to)
{
	enum slot_state old = from < n ? states[from] : SLOT_DOWN;
	unsigned to = HS_SLOT_NONE;

	for (unsigned i = 0; i < n; i++)
		if (i != from && exclusive_is_up(states[i]))
			to = i;
	if (to == HS_SLOT_NONE && n == 2 && from < n)
		to = !from;
	*ret_to = to;
	if (old == SLOT_STARTING)
		return EXCLUSIVE_START_OLD;
	if (old == SLOT_STOPPING || old == SLOT_LEAVING)
		return EXCLUSIVE_STOP;
	if (exclusive_is_up(old))
		return EXCLUSIVE_UNDONE;
	/* which of several was meant is not known any more */
	return to == HS_SLOT_NONE ? EXCLUSIVE_START_OLD : EXCLUSIVE_START;
}

/* ---- words ---- */

const char *exclusive_step_name(const struct exclusive *e)
{
	if (e->state == EXCLUSIVE_HOLD && e->plan.drain_usec)
		return "drain";
	return e->state < EXCLUSIVE_STATE_COUNT ? steps[e->state].name : "unknown";
}

void exclusive_progress(const struct exclusive *e, struct problem *ret_line)
{
	switch (e->state) {
	case EXCLUSIVE_HOLD:
		if (e->plan.drain_usec)
			problem_set(ret_line, 0,
				    "drain: new connections wait, %" PRIu64 " left on slot %u",
				    e->remaining, e->plan.from);
		else
			problem_set(ret_line, 0, "hold: new connections wait");
		break;
	case EXCLUSIVE_STOP:
		problem_set(ret_line, 0, "stop: slot %u", e->plan.from);
		break;
	case EXCLUSIVE_START:
		problem_set(ret_line, 0, "start: slot %u", e->plan.to);
		break;
	case EXCLUSIVE_STOP_NEW:
		problem_set(ret_line, 0, "undo: slot %u is stopped: %s", e->plan.to,
			    e->failure ?: "it failed");
		break;
	case EXCLUSIVE_START_OLD:
		problem_set(ret_line, 0, "undo: slot %u is started again", e->plan.from);
		break;
	default:
		problem_set(ret_line, 0, "%s", exclusive_step_name(e));
	}
}

void exclusive_describe(const struct exclusive *e, const char *service, uint64_t now,
			uint64_t waited, struct problem *ret_sentence)
{
	const char *verb = switchover_verb_to_string(e->plan.verb);
	const char *by = e->plan.resumed ? " (begun by an hsd before this one)" : "";
	char span[SPAN_TEXT_MAX];

	span_format(now - e->begun, span, sizeof(span));
	if (e->state == EXCLUSIVE_DONE)
		problem_set(ret_sentence, 0,
			    "%s: slot %u took over from slot %u in %s%s; slot %u was stopped "
			    "first, and %" PRIu64 " connections waited meanwhile.",
			    service, e->plan.to, e->plan.from, span, by, e->plan.from, waited);
	else if (e->state == EXCLUSIVE_UNDONE && !e->failure)
		problem_set(ret_sentence, 0,
			    "%s: undone%s: slot %u serves on, no other was started.", service, by,
			    e->plan.from);
	else if (e->state == EXCLUSIVE_UNDONE)
		problem_set(ret_sentence, 0,
			    "%s: undone%s: %s; slot %u serves again, and %" PRIu64
			    " connections waited meanwhile. See journalctl -u %s@%u.",
			    service, by, e->failure, e->plan.from, waited, service, e->plan.to);
	else
		problem_set(ret_sentence, 0,
			    "%s: the %s from slot %u to slot %u failed%s: %s, and slot %u could "
			    "not be started again; new connections wait until an instance is "
			    "there: systemctl start %s@%u",
			    service, verb, e->plan.from, e->plan.to, by,
			    e->failure ?: "it has not ended", e->plan.from, service, e->plan.from);
}

/* ---- gate ---- */

static unsigned pick(const struct exclusive_request *request)
{
	if (request->to >= 0)
		return request->to;
	for (unsigned i = 1; i < request->n; i++)
		if (!exclusive_is_up(request->states[(request->active + i) % request->n]))
			return (request->active + i) % request->n;
	return (request->active + 1) % request->n;
}

/* One that runs beside the active one; HS_SLOT_NONE when there is none. */
static unsigned find_second(const struct exclusive_request *request)
{
	for (unsigned i = 0; i < request->n; i++)
		if (i != request->active && exclusive_is_up(request->states[i]))
			return i;
	return HS_SLOT_NONE;
}

/* Also one that hangs is there to be taken over from. */
static bool serves(enum slot_state state)
{
	return state == SLOT_READY || state == SLOT_INCOMPLETE || state == SLOT_SUSPECT;
}

static bool check_states(const struct exclusive_request *request, const char *service,
			 struct problem *ret_refusal)
{
	unsigned second = find_second(request);

	if (request->active >= request->n || !serves(request->states[request->active]))
		problem_set(ret_refusal, 0,
			    "%s: no active instance is ready, so there is none to take over from; "
			    "start one: systemctl start %s@N",
			    service, service);
	else if (second != HS_SLOT_NONE)
		problem_set(ret_refusal, 0,
			    "%s: slot %u (%s@%u.service) is %s, and with Exclusive=yes only one "
			    "may run; stop it first: systemctl stop %s@%u",
			    service, second, service, second,
			    slot_state_to_string(request->states[second]), service, second);
	else if (!request->park)
		problem_set(ret_refusal, 0,
			    "%s: there is no park, where connections could wait while the old "
			    "instance stops and the new one starts; see hsctl events %s",
			    service, service);
	else
		return true;
	return false;
}

bool exclusive_gate(const struct exclusive_request *request, const char *service, unsigned *ret_to,
		    struct problem *ret_refusal)
{
	enum gate_answer answer = GATE_OPEN;
	unsigned to = HS_SLOT_NONE;

	if (request->busy)
		answer = GATE_BUSY;
	else if (request->to >= (int)request->n)
		answer = GATE_NO_SUCH_SLOT;
	else if (request->to >= 0 && (unsigned)request->to == request->active)
		answer = GATE_ALREADY_ACTIVE;
	if (answer != GATE_OPEN) {
		gate_describe(answer, service, request->to < 0 ? HS_SLOT_NONE : request->to,
			      SLOT_DOWN, ret_refusal);
		return false;
	}
	if (!check_states(request, service, ret_refusal))
		return false;
	to = pick(request);
	*ret_to = to;
	return true;
}
