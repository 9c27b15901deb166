// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/change/drain.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hs_abi.h"
#include "util/clock.h"
#include "util/macro.h"

/* Longer than a retirement takes that waits for another slot. */
#define LEAVE_DEADLINE (10 * USEC_PER_SEC)
/* The unit's own timeouts count. */
#define FINISH_DEADLINE (600 * USEC_PER_SEC)
#define LOOK_EVERY	(20 * USEC_PER_MSEC)
#define COUNT_EVERY	(100 * USEC_PER_MSEC)
/* With the time that is left, of which people see whole seconds. */
#define TELL_EVERY (1 * USEC_PER_SEC)

static bool has_ended(const struct drain *d)
{
	return d->state >= DRAIN_DONE;
}

bool drain_can_cancel(const struct drain *d)
{
	return d->state < DRAIN_FINISH;
}

uint64_t drain_wake(const struct drain *d, uint64_t now)
{
	if (has_ended(d))
		return USEC_INFINITY;
	if (d->state == DRAIN_FINISH)
		return d->deadline;
	return MIN(now + (d->state == DRAIN_LEAVE ? LOOK_EVERY : COUNT_EVERY), d->deadline);
}

/* The one place where the state changes. */
static unsigned set_state(struct drain *d, enum drain_state state, uint64_t now, uint64_t allowed)
{
	assert(!has_ended(d) && state >= d->state);
	d->state = state;
	d->entered = d->told = now;
	d->deadline = now + allowed;
	return DRAIN_DO_TELL | (has_ended(d) ? DRAIN_DO_END : 0);
}

static unsigned fail(struct drain *d, uint64_t now, const char *why)
{
	problem_set(&d->failure, 0, "%s", why);
	return set_state(d, DRAIN_FAILED, now, 0);
}

static unsigned begin_to_leave(struct drain *d, const struct drain_input *input)
{
	d->begun_to_leave = !input->is_busy;
	return d->begun_to_leave ? DRAIN_DO_LEAVE : 0;
}

static void init(struct drain *d, const struct drain_plan *plan, const struct drain_input *input)
{
	assert(plan->slot < HS_SLOTS_MAX);
	*d = (struct drain) {
		.plan = *plan, .begun = input->now, .at_first = input->left, .left = input->left};
}

unsigned drain_begin(struct drain *d, const struct drain_plan *plan,
		     const struct drain_input *input)
{
	init(d, plan, input);
	return set_state(d, DRAIN_LEAVE, input->now, LEAVE_DEADLINE) | begin_to_leave(d, input);
}

static unsigned on_deadline(struct drain *d, uint64_t now)
{
	if (!d->plan.at_deadline)
		return set_state(d, DRAIN_DONE, now, 0) | DRAIN_DO_EXAMINE;
	return set_state(d, DRAIN_FINISH, now, FINISH_DEADLINE) | DRAIN_DO_EXAMINE |
	       d->plan.at_deadline;
}

static unsigned on_waiting(struct drain *d, const struct drain_input *input)
{
	bool told = d->left == input->left && input->now < d->told + TELL_EVERY;

	d->left = input->left;
	if (!input->is_out)
		return set_state(d, DRAIN_UNDONE, input->now, 0);
	if (!input->left)
		return set_state(d, DRAIN_DONE, input->now, 0);
	if (input->now >= d->deadline)
		return on_deadline(d, input->now);
	if (told)
		return 0;
	d->told = input->now;
	return DRAIN_DO_TELL;
}

static unsigned begin_to_wait(struct drain *d, const struct drain_input *input)
{
	uint64_t end = d->begun + d->plan.patience_usec;

	set_state(d, DRAIN_WAIT, input->now, end > input->now ? end - input->now : 0);
	/* shown only if there is anything to wait for */
	d->told = 0;
	return on_waiting(d, input);
}

unsigned drain_resume(struct drain *d, const struct drain_plan *plan,
		      const struct drain_input *input)
{
	init(d, plan, input);
	return begin_to_wait(d, input);
}

static unsigned on_leaving(struct drain *d, const struct drain_input *input)
{
	if (input->is_out)
		return begin_to_wait(d, input);
	if (!d->begun_to_leave && input->now < d->deadline)
		return begin_to_leave(d, input);
	/* taken back at once; or nobody was left to leave it to, which the journal tells */
	if (!input->is_leaving)
		return set_state(d, DRAIN_UNDONE, input->now, 0);
	return input->now < d->deadline ? 0 : fail(d, input->now, "leaving it took too long");
}

static unsigned on_look(struct drain *d, const struct drain_input *input)
{
	if (d->state == DRAIN_LEAVE)
		return on_leaving(d, input);
	if (d->state == DRAIN_WAIT)
		return on_waiting(d, input);
	return input->now < d->deadline ? 0 : fail(d, input->now, "that took too long");
}

unsigned drain_step(struct drain *d, const struct drain_input *input)
{
	if (has_ended(d))
		return 0;
	switch (input->event) {
	case DRAIN_LOOK:
		return on_look(d, input);
	case DRAIN_ENDED:
		d->ended_them = true;
		d->reset = input->reset;
		return set_state(d, DRAIN_DONE, input->now, 0);
	case DRAIN_NOT_ENDED:
		return fail(d, input->now, input->failure);
	case DRAIN_CANCEL:
		return drain_can_cancel(d) ? fail(d, input->now, "") : 0;
	}
	return 0;
}

static const char *ending_name(const struct drain *d)
{
	return d->plan.at_deadline == DRAIN_DO_STOP ? "stop" : "reset";
}

const char *drain_step_name(const struct drain *d)
{
	static const char *const names[DRAIN_STATE_COUNT] = {
		[DRAIN_LEAVE] = "leave",   [DRAIN_WAIT] = "drain",    [DRAIN_DONE] = "done",
		[DRAIN_UNDONE] = "undone", [DRAIN_FAILED] = "failed",
	};

	return d->state == DRAIN_FINISH ? ending_name(d) : names[d->state];
}

const char *drain_outcome(const struct drain *d)
{
	if (!d->ended_them)
		return d->left ? "kept" : "drained";
	return d->plan.at_deadline == DRAIN_DO_STOP ? "stopped" : "reset";
}

/* How long it will go on at the pace so far. */
static void estimate(const struct drain *d, uint64_t now, char text[SPAN_TEXT_MAX])
{
	uint64_t gone = d->at_first > d->left ? d->at_first - d->left : 0, span;

	snprintf(text, SPAN_TEXT_MAX, "?");
	if (!gone)
		return;
	span = (now - d->begun) / gone * d->left / USEC_PER_SEC * USEC_PER_SEC;
	span_format(MAX(span, USEC_PER_SEC), text, SPAN_TEXT_MAX);
}

void drain_progress(const struct drain *d, uint64_t now, struct problem *ret_line)
{
	uint64_t until = d->deadline > now ? d->deadline - now : 0;
	char pace[SPAN_TEXT_MAX], limit[SPAN_TEXT_MAX];
	unsigned slot = d->plan.slot;

	if (d->state == DRAIN_LEAVE) {
		problem_set(ret_line, 0, "leave: slot %u goes out of service", slot);
	} else if (d->state == DRAIN_WAIT) {
		estimate(d, now, pace);
		span_format(until / USEC_PER_SEC * USEC_PER_SEC, limit, sizeof(limit));
		problem_set(ret_line, 0,
			    "drain: %" PRIu64 " connection%s left on slot %u, about %s at this "
			    "pace, deadline in %s",
			    d->left, d->left == 1 ? "" : "s", slot, pace, limit);
	} else if (d->state == DRAIN_FINISH) {
		problem_set(ret_line, 0, "%s: slot %u", ending_name(d), slot);
	} else {
		problem_set(ret_line, 0, "%s", drain_step_name(d));
	}
}

/* ---- the sentence at the end ---- */

static void describe_done(const struct drain *d, const char *service, const struct drain_rest *rest,
			  struct problem *ret_sentence)
{
	unsigned slot = d->plan.slot;

	if (d->ended_them && d->plan.at_deadline == DRAIN_DO_STOP)
		problem_set(ret_sentence, 0,
			    "%s: at the deadline %" PRIu64
			    " connections were left on slot %u; it was stopped.%s",
			    service, d->left, slot, rest->details);
	else if (d->ended_them)
		problem_set(ret_sentence, 0,
			    "%s: at the deadline %" PRIu64
			    " connections of slot %u were reset%s.%s",
			    service, d->reset, slot,
			    rest->clients ? "; clients of UDP cannot be, and go on" : "",
			    rest->details);
	else if (d->left)
		problem_set(ret_sentence, 0,
			    "%s: at the deadline %" PRIu64
			    " connections are left on slot %u; they go on (DrainEnd=keep).%s",
			    service, d->left, slot, rest->details);
	else if (rest->front)
		problem_set(ret_sentence, 0,
			    "%s: slot %u has no connection left (%" PRIu64
			    " finished). Back with: hsctl adopt %s@%u.service",
			    service, slot, d->at_first, service, slot);
	else
		problem_set(ret_sentence, 0,
			    "%s: slot %u has no connection left (%" PRIu64
			    " finished)%s. Stop it with systemctl stop %s@%u, or take it back with "
			    "hsctl adopt %s@%u.service.",
			    service, slot, d->at_first,
			    rest->blind ? "; clients of UDP that it has a socket for could not be "
					  "listed, and may be there"
					: "",
			    service, slot, service, slot);
}

static void describe_failed(const struct drain *d, const char *service,
			    struct problem *ret_sentence)
{
	unsigned slot = d->plan.slot;

	if (d->failure.text[0])
		problem_set(ret_sentence, 0, "%s: the drain of slot %u failed: %.300s", service,
			    slot, d->failure.text);
	else
		problem_set(ret_sentence, 0,
			    "interrupted; slot %u of %s stays out of service with %" PRIu64
			    " connections; back with: hsctl adopt %s@%u.service",
			    slot, service, d->left, service, slot);
}

void drain_describe(const struct drain *d, const char *service, const struct drain_rest *rest,
		    struct problem *ret_sentence)
{
	if (d->state == DRAIN_DONE)
		describe_done(d, service, rest, ret_sentence);
	else if (d->state == DRAIN_UNDONE)
		problem_set(ret_sentence, 0,
			    "%s: slot %u is in service, so it is drained no more; it has %" PRIu64
			    " connections",
			    service, d->plan.slot, d->left);
	else
		describe_failed(d, service, ret_sentence);
}
