// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/change/exclusive.h"

#include <assert.h>
#include <inttypes.h>

#include "core/watch/queued.h"
#include "util/clock.h"
#include "util/macro.h"

/* The units' own timeouts are what counts; this is for a systemd that never answers. */
#define JOB_DEADLINE (600 * USEC_PER_SEC)
/* An old slot that has started again, and whose sockets are still to come. */
#define ADOPT_DEADLINE (10 * USEC_PER_SEC)

#define POLL_MIN (5 * USEC_PER_MSEC)
#define POLL_MAX (250 * USEC_PER_MSEC)

#define TO(state) (1U << (state))
#define TO_PROVEN (TO(EXCLUSIVE_DONE) | TO(EXCLUSIVE_STOP_NEW))

/* What each state does first, and where it may lead: one is started when the other was told to
 * stop, and an end is never left. */
static const struct {
	const char *name;
	unsigned actions, ways;
} steps[] = {
	[EXCLUSIVE_HOLD] = {"hold", EXCLUSIVE_DO_HOLD, TO(EXCLUSIVE_STOP) | TO(EXCLUSIVE_UNDONE)},
	[EXCLUSIVE_STOP] = {"stop", EXCLUSIVE_DO_STOP_OLD,
			    TO(EXCLUSIVE_START) | TO(EXCLUSIVE_START_OLD)},
	[EXCLUSIVE_START] = {"start", EXCLUSIVE_DO_START_NEW,
			     TO(EXCLUSIVE_PROVE) | TO(EXCLUSIVE_SMOKE) | TO_PROVEN},
	[EXCLUSIVE_PROVE] = {"ready", 0, TO(EXCLUSIVE_SMOKE) | TO_PROVEN},
	[EXCLUSIVE_SMOKE] = {"smoke", EXCLUSIVE_DO_SMOKE, TO_PROVEN},
	[EXCLUSIVE_STOP_NEW] = {"stop-new", EXCLUSIVE_DO_STOP_NEW,
				TO(EXCLUSIVE_START_OLD) | TO(EXCLUSIVE_FAILED)},
	[EXCLUSIVE_START_OLD] = {"start-old", EXCLUSIVE_DO_START_OLD,
				 TO(EXCLUSIVE_UNDONE) | TO(EXCLUSIVE_FAILED)},
	[EXCLUSIVE_DONE] = {"done", EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END, 0},
	[EXCLUSIVE_UNDONE] = {"undone", EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END, 0},
	[EXCLUSIVE_FAILED] = {"failed", EXCLUSIVE_DO_RELEASE | EXCLUSIVE_DO_END, 0},
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

/* How long a state may take. */
static uint64_t deadline_of(const struct exclusive *e, enum exclusive_state state, uint64_t now)
{
	switch (state) {
	case EXCLUSIVE_HOLD:
		return now + e->plan.drain_usec;
	case EXCLUSIVE_START:
		return e->ready_by;
	case EXCLUSIVE_SMOKE:
		return MIN(e->ready_by, now + e->plan.smoke_usec);
	case EXCLUSIVE_PROVE:
		return MIN(e->ready_by, now + e->plan.late_usec);
	default:
		return now + JOB_DEADLINE;
	}
}

/* The one place where the state changes. */
static unsigned enter(struct exclusive *e, enum exclusive_state state, uint64_t now)
{
	if (state == EXCLUSIVE_START)
		e->ready_by = now + MIN(e->plan.ready_usec, JOB_DEADLINE);
	e->state = state;
	e->entered = now;
	e->job_done = false;
	e->touched |= state != EXCLUSIVE_HOLD && state < EXCLUSIVE_DONE;
	e->deadline = deadline_of(e, state, now);
	return steps[state].actions | EXCLUSIVE_DO_TELL;
}

static unsigned set_state(struct exclusive *e, enum exclusive_state state, uint64_t now)
{
	assert(steps[e->state].ways & TO(state));
	return enter(e, state, now);
}

unsigned exclusive_begin(struct exclusive *e, const struct exclusive_plan *plan,
			 enum exclusive_state state, uint64_t now)
{
	assert(plan->from != plan->to || plan->to == HS_SLOT_NONE);
	assert(plan->resumed || (plan->from < HS_SLOTS_MAX && plan->to < HS_SLOTS_MAX));
	*e = (struct exclusive) {.plan = *plan, .begun = now};
	return enter(e, state, now);
}

/* The first reason counts. */
static void note_failure(struct exclusive *e, const char *why)
{
	if (e->failure.text[0])
		return;
	e->failed_in = e->state;
	problem_set(&e->failure, 0, "%s", why);
}

static unsigned give_up(struct exclusive *e, uint64_t now, const char *why)
{
	note_failure(e, why);
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
	bool stopped = input->event == EXCLUSIVE_JOB_DONE || !exclusive_is_up(input->old_slot);

	if (input->event == EXCLUSIVE_TICK && input->now < e->deadline)
		return 0;
	if (!stopped)
		note_failure(e, "the old instance could not be stopped");
	/* it serves on, or systemd will have it again; or it was cancelled meanwhile */
	return set_state(e, e->failure.text[0] ? EXCLUSIVE_START_OLD : EXCLUSIVE_START, input->now);
}

/* An instance that is being started: 1 it is ready, -1 it will not be. */
static int came(struct exclusive *e, const struct exclusive_input *input, enum slot_state state,
		uint64_t late_usec)
{
	if (input->event == EXCLUSIVE_JOB_FAILED)
		return -1;
	if (input->event == EXCLUSIVE_JOB_DONE) {
		e->job_done = true;
		e->deadline = MIN(e->deadline, input->now + late_usec);
	}
	if (e->job_done && state == SLOT_READY)
		return 1;
	return input->now >= e->deadline || (e->job_done && !exclusive_is_up(state)) ? -1 : 0;
}

static unsigned give_up_unhealthy(struct exclusive *e, const struct exclusive_input *input)
{
	const char *why = input->why ?: "";
	struct problem text;

	problem_set(&text, 0, "it did not become healthy in time%s%.300s", *why ? ": " : "", why);
	return give_up(e, input->now, text.text);
}

/* It is ready: it must be healthy as well, and pass the test. */
static unsigned prove(struct exclusive *e, const struct exclusive_input *input)
{
	if (input->new_slot != SLOT_READY)
		return give_up(e, input->now, "it did not stay up");
	if (!e->plan.prove || input->healthy)
		return set_state(e, e->plan.smoke ? EXCLUSIVE_SMOKE : EXCLUSIVE_DONE, input->now);
	if (e->state != EXCLUSIVE_PROVE)
		return set_state(e, EXCLUSIVE_PROVE, input->now);
	return input->now >= e->deadline ? give_up_unhealthy(e, input) : 0;
}

static unsigned on_start(struct exclusive *e, const struct exclusive_input *input)
{
	int r = came(e, input, input->new_slot, e->plan.late_usec);

	if (r > 0)
		return prove(e, input);
	if (!r)
		return 0;
	if (e->job_done)
		return give_up(e, input->now, "its sockets could not be adopted");
	return give_up(e, input->now,
		       input->event == EXCLUSIVE_TICK ? "it did not start in time"
						      : "it did not start");
}

static unsigned on_smoke(struct exclusive *e, const struct exclusive_input *input)
{
	if (input->new_slot != SLOT_READY)
		return give_up(e, input->now, "it did not stay up while it was tested");
	if (input->event == EXCLUSIVE_JOB_DONE)
		return set_state(e, EXCLUSIVE_DONE, input->now);
	if (input->event == EXCLUSIVE_JOB_FAILED)
		return give_up(e, input->now, input->why ?: "the smoke test failed");
	return input->now >= e->deadline ? give_up(e, input->now, "the smoke test took too long")
					 : 0;
}

/* One that cannot be stopped must not be joined by the other. */
static unsigned on_stop_new(struct exclusive *e, const struct exclusive_input *input)
{
	if (input->event == EXCLUSIVE_TICK && input->now < e->deadline)
		return 0;
	if (input->event != EXCLUSIVE_JOB_DONE && exclusive_is_up(input->new_slot))
		return set_state(e, EXCLUSIVE_FAILED, input->now);
	return set_state(e, EXCLUSIVE_START_OLD, input->now);
}

static unsigned on_start_old(struct exclusive *e, const struct exclusive_input *input)
{
	int r = came(e, input, input->old_slot, ADOPT_DEADLINE);

	if (!r)
		return 0;
	return set_state(e, r > 0 ? EXCLUSIVE_UNDONE : EXCLUSIVE_FAILED, input->now);
}

static unsigned on_cancel(struct exclusive *e, const struct exclusive_input *input)
{
	const char *why = input->why ?: "it was cancelled";

	if (e->state > EXCLUSIVE_SMOKE)
		return 0;
	note_failure(e, why);
	if (e->state == EXCLUSIVE_HOLD)
		return set_state(e, EXCLUSIVE_UNDONE, input->now);
	/* what is being stopped is down first, then it is started again */
	if (e->state == EXCLUSIVE_STOP)
		return EXCLUSIVE_DO_TELL;
	return set_state(e, EXCLUSIVE_STOP_NEW, input->now);
}

unsigned exclusive_step(struct exclusive *e, const struct exclusive_input *input)
{
	e->waiting = input->waiting;
	if (input->event == EXCLUSIVE_CANCEL)
		return on_cancel(e, input);
	switch (e->state) {
	case EXCLUSIVE_HOLD:
		return on_hold(e, input);
	case EXCLUSIVE_STOP:
		return on_stop(e, input);
	case EXCLUSIVE_START:
		return on_start(e, input);
	case EXCLUSIVE_PROVE:
		return prove(e, input);
	case EXCLUSIVE_SMOKE:
		return on_smoke(e, input);
	case EXCLUSIVE_STOP_NEW:
		return on_stop_new(e, input);
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

const char *exclusive_state_to_string(enum exclusive_state state)
{
	return state < EXCLUSIVE_STATE_COUNT ? steps[state].name : "unknown";
}

const char *exclusive_step_name(const struct exclusive *e)
{
	if (e->state == EXCLUSIVE_HOLD && e->plan.drain_usec)
		return "drain";
	return exclusive_state_to_string(e->state);
}

/* Clients wait, and for how long at the most. */
static void describe_hold(const struct exclusive *e, struct problem *ret_line)
{
	const struct exclusive_plan *plan = &e->plan;
	char most[SPAN_TEXT_MAX], ready[SPAN_TEXT_MAX];

	if (plan->drain_usec)
		problem_set(ret_line, 0, "drain: new connections wait, %" PRIu64 " left on slot %u",
			    e->remaining, plan->from);
	else if (!plan->park_usec)
		problem_set(ret_line, 0, "hold: new connections wait");
	else if (plan->ready_usec < plan->park_usec)
		problem_set(ret_line, 0, "hold: new connections wait, each for %s at most",
			    span_format(plan->park_usec, most, sizeof(most)));
	else
		problem_set(ret_line, 0,
			    "hold: new connections wait, each for %s at most (ParkTimeout=), but "
			    "slot %u may take %s (--ready=): some may be closed unserved",
			    span_format(plan->park_usec, most, sizeof(most)), plan->to,
			    span_format(plan->ready_usec, ready, sizeof(ready)));
}

static void describe_stop(const struct exclusive *e, const char *waiting, struct problem *ret_line)
{
	if (e->failure.text[0])
		problem_set(ret_line, 0, "undo: %.300s; slot %u is still stopping%s",
			    e->failure.text, e->plan.from, waiting);
	else
		problem_set(ret_line, 0, "stop: slot %u%s", e->plan.from, waiting);
}

void exclusive_progress(const struct exclusive *e, struct problem *ret_line)
{
	char waiting[48] = "";

	if (e->waiting == QUEUED_UNKNOWN)
		snprintf(waiting, sizeof(waiting), "; how many wait could not be asked");
	else if (e->waiting)
		snprintf(waiting, sizeof(waiting), "; %" PRIu32 " connection%s", e->waiting,
			 e->waiting == 1 ? " waits" : "s wait");
	switch (e->state) {
	case EXCLUSIVE_HOLD:
		describe_hold(e, ret_line);
		break;
	case EXCLUSIVE_STOP:
		describe_stop(e, waiting, ret_line);
		break;
	case EXCLUSIVE_START:
		problem_set(ret_line, 0, "start: slot %u%s", e->plan.to, waiting);
		break;
	case EXCLUSIVE_PROVE:
		problem_set(ret_line, 0, "ready: waiting until slot %u is healthy%s", e->plan.to,
			    waiting);
		break;
	case EXCLUSIVE_SMOKE:
		problem_set(ret_line, 0, "smoke: testing slot %u, and clients wait for it%s",
			    e->plan.to, waiting);
		break;
	case EXCLUSIVE_STOP_NEW:
		problem_set(ret_line, 0, "undo: slot %u is stopped: %.300s%s", e->plan.to,
			    e->failure.text[0] ? e->failure.text : "it failed", waiting);
		break;
	case EXCLUSIVE_START_OLD:
		problem_set(ret_line, 0, "undo: slot %u is started again%s", e->plan.from, waiting);
		break;
	default:
		problem_set(ret_line, 0, "%s", exclusive_step_name(e));
	}
}

static void describe_waited(uint32_t waited, char text[64])
{
	if (waited == QUEUED_UNKNOWN)
		snprintf(text, 64, "how many connections waited could not be asked");
	else
		snprintf(text, 64, "%" PRIu32 " connections waited meanwhile", waited);
}

static void describe_undone(const struct exclusive *e, const char *service, const char *waited,
			    struct problem *ret_sentence)
{
	const char *by = e->plan.resumed ? " (begun by an hsd before this one)" : "";
	const char *why = e->failure.text;

	if (!e->touched)
		problem_set(ret_sentence, 0,
			    "%s: undone%s%s%.300s: slot %u serves on, no other was started.",
			    service, by, *why ? ": " : "", why, e->plan.from);
	else
		problem_set(ret_sentence, 0,
			    "%s: undone%s: %.300s; slot %u serves again, and %s. See "
			    "journalctl -u %s@%u.",
			    service, by, *why ? why : "it had not ended", e->plan.from, waited,
			    service, e->plan.to);
}

void exclusive_describe(const struct exclusive *e, const char *service, uint64_t now,
			uint32_t waited, struct problem *ret_sentence)
{
	const char *verb = switchover_verb_to_string(e->plan.verb);
	const char *by = e->plan.resumed ? " (begun by an hsd before this one)" : "";
	char span[SPAN_TEXT_MAX], clients[64];

	span_format(now - e->begun, span, sizeof(span));
	describe_waited(waited, clients);
	if (e->state == EXCLUSIVE_DONE)
		problem_set(ret_sentence, 0,
			    "%s: slot %u took over from slot %u in %s%s; slot %u was stopped "
			    "first, and %s.",
			    service, e->plan.to, e->plan.from, span, by, e->plan.from, clients);
	else if (e->state == EXCLUSIVE_UNDONE)
		describe_undone(e, service, clients, ret_sentence);
	else
		problem_set(ret_sentence, 0,
			    "%s: the %s from slot %u to slot %u failed%s: %.300s, and slot %u "
			    "could not be started again; new connections wait until an instance is "
			    "there: systemctl start %s@%u",
			    service, verb, e->plan.from, e->plan.to, by,
			    e->failure.text[0] ? e->failure.text : "it has not ended", e->plan.from,
			    service, e->plan.from);
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

/* Also one that hangs, or is full, is there to be taken over from. */
static bool serves(enum slot_state state)
{
	return state == SLOT_READY || state == SLOT_INCOMPLETE || state == SLOT_SUSPECT ||
	       state == SLOT_FULL;
}

/* One of which it is not known whether it runs; HS_SLOT_NONE when there is none. */
static unsigned find_unknown(const struct exclusive_request *request)
{
	for (unsigned i = 0; i < request->n; i++)
		if (request->states[i] == SLOT_UNKNOWN)
			return i;
	return HS_SLOT_NONE;
}

/* One that has an instance; HS_SLOT_NONE when there is none. */
static unsigned find_up(const struct exclusive_request *request)
{
	for (unsigned i = 0; i < request->n; i++)
		if (exclusive_is_up(request->states[i]))
			return i;
	return HS_SLOT_NONE;
}

/* There is no active slot that serves. */
static void describe_none_active(const struct exclusive_request *request, const char *service,
				 struct problem *ret_refusal)
{
	unsigned up = request->mptcp ? find_up(request) : HS_SLOT_NONE;

	if (up != HS_SLOT_NONE)
		problem_set(ret_refusal, 0,
			    "%s: slot %u listens by MPTCP (MPTCP=keep), and such a listener cannot "
			    "be switched, nor its clients wait: systemctl stop %s@%u, then start "
			    "the other slot",
			    service, up, service, up);
	else
		problem_set(ret_refusal, 0,
			    "%s: no active instance is ready, so there is none to take over from; "
			    "start one: systemctl start %s@N",
			    service, service);
}

static bool check_states(const struct exclusive_request *request, const char *service,
			 struct problem *ret_refusal)
{
	unsigned second = find_second(request), unknown = find_unknown(request);

	if (unknown != HS_SLOT_NONE)
		problem_set(ret_refusal, 0,
			    "%s: systemd has not told yet whether slot %u (%s@%u.service) runs; "
			    "wait, or see systemctl status",
			    service, unknown, service, unknown);
	else if (request->active >= request->n || !serves(request->states[request->active]))
		describe_none_active(request, service, ret_refusal);
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

enum gate_answer exclusive_gate(const struct exclusive_request *request, const char *service,
				unsigned *ret_to, struct problem *ret_refusal)
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
		return answer;
	}
	if (!check_states(request, service, ret_refusal))
		return GATE_NOT_READY;
	to = pick(request);
	assert(to < request->n && to != request->active);
	*ret_to = to;
	return GATE_OPEN;
}
