// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/change/rolling.h"

#include <assert.h>
#include <inttypes.h>

#include "hs_abi.h"
#include "hs_decide.h"
#include "util/clock.h"
#include "util/macro.h"

/* As core/change/upgrade.c has it. */
#define JOB_DEADLINE (600 * USEC_PER_SEC)

static const char *const state_names[] = {
	[ROLLING_LEAVE] = "leave", [ROLLING_DRAIN] = "drain",	[ROLLING_RESTART] = "restart",
	[ROLLING_READY] = "ready", [ROLLING_SMOKE] = "smoke",	[ROLLING_PROBATION] = "probation",
	[ROLLING_DONE] = "done",   [ROLLING_UNDONE] = "undone", [ROLLING_FAILED] = "failed",
};
_Static_assert(ARRAY_SIZE(state_names) == ROLLING_STATE_COUNT, "a name for each state");

void rolling_init(struct rolling *r, const struct rolling_plan *plan)
{
	assert(plan->slots && !(plan->slots >> HS_SLOTS_MAX));
	*r = (struct rolling) {.plan = *plan, .to_come = plan->slots};
	r->slot = hs_lowest(plan->slots);
}

bool rolling_ended(const struct rolling *r)
{
	return r->state >= ROLLING_DONE;
}

uint64_t rolling_wake(const struct rolling *r)
{
	return rolling_ended(r) ? USEC_INFINITY : r->deadline;
}

unsigned rolling_slot(const struct rolling *r)
{
	return r->slot;
}

const char *rolling_state_to_string(enum rolling_state state)
{
	return state < ROLLING_STATE_COUNT ? state_names[state] : "unknown";
}

/* Of one slot the steps follow each other; from any the end may come. */
static bool may_follow(enum rolling_state before, enum rolling_state state)
{
	if (state >= ROLLING_DONE)
		return before < ROLLING_DONE;
	return state == before + 1 || (state == ROLLING_PROBATION && before == ROLLING_READY) ||
	       (state == ROLLING_LEAVE && (before == ROLLING_PROBATION || before == ROLLING_LEAVE));
}

/* The one place where the state changes. */
static unsigned set_state(struct rolling *r, enum rolling_state state, uint64_t now,
			  uint64_t allowed)
{
	assert(may_follow(r->state, state));
	r->state = state;
	r->entered = now;
	r->deadline = now + allowed;
	return ROLLING_DO_TELL | (rolling_ended(r) ? ROLLING_DO_END : 0);
}

static unsigned next_slot(struct rolling *r, uint64_t now)
{
	if (!r->to_come)
		return set_state(r, ROLLING_DONE, now, 0);
	r->slot = hs_lowest(r->to_come);
	r->to_come &= r->to_come - 1;
	return set_state(r, ROLLING_LEAVE, now, r->plan.settle_usec) | ROLLING_DO_HOLD;
}

static unsigned slot_done(struct rolling *r, uint64_t now)
{
	r->upgraded++;
	return next_slot(r, now);
}

/* Nothing but that it is not ready yet speaks against it, and nothing was to be tested. */
static bool comes_back(const struct rolling *r)
{
	return r->failed_in < ROLLING_SMOKE && !r->plan.smoke;
}

static unsigned undo(struct rolling *r, uint64_t now, const char *why, bool keep)
{
	r->failed_in = r->state;
	r->kept = keep;
	problem_set(&r->failure, 0, "%s", why);
	return set_state(r, ROLLING_UNDONE, now, 0) |
	       (keep || comes_back(r) ? ROLLING_DO_RELEASE : ROLLING_DO_PUT_OUT);
}

static unsigned enter_restart(struct rolling *r, uint64_t now)
{
	return set_state(r, ROLLING_RESTART, now, JOB_DEADLINE) | ROLLING_DO_RESTART;
}

static unsigned enter_probation(struct rolling *r, uint64_t now)
{
	return set_state(r, ROLLING_PROBATION, now, r->plan.probation_usec) | ROLLING_DO_RELEASE;
}

static unsigned on_ready(struct rolling *r, uint64_t now)
{
	if (!r->plan.smoke)
		return enter_probation(r, now);
	return set_state(r, ROLLING_SMOKE, now, r->plan.smoke_usec) | ROLLING_DO_SMOKE;
}

static unsigned give_up_waiting(struct rolling *r, const struct rolling_input *input)
{
	struct problem why;

	problem_set(&why, 0, "the new instance did not become ready and healthy in time%s%.300s",
		    input->why && *input->why ? ": " : "", input->why ?: "");
	return undo(r, input->now, why.text, false);
}

/* Where nothing else came before the end of its time. */
static unsigned on_deadline(struct rolling *r, const struct rolling_input *input)
{
	switch (r->state) {
	case ROLLING_LEAVE:
		return set_state(r, ROLLING_DRAIN, input->now, r->plan.drain_usec);
	case ROLLING_DRAIN:
		return enter_restart(r, input->now);
	case ROLLING_RESTART:
		return undo(r, input->now, "the slot took too long to restart", false);
	case ROLLING_READY:
		return give_up_waiting(r, input);
	case ROLLING_SMOKE:
		return undo(r, input->now, "the smoke test took too long", false);
	default:
		return slot_done(r, input->now);
	}
}

static unsigned on_look(struct rolling *r, const struct rolling_input *input)
{
	if (r->state == ROLLING_DRAIN && !input->left)
		return enter_restart(r, input->now);
	if (r->state == ROLLING_READY && input->ready)
		return on_ready(r, input->now);
	if (r->state > ROLLING_READY && input->lost)
		return undo(r, input->now, input->why ?: "the new instance was lost", false);
	return input->now >= r->deadline ? on_deadline(r, input) : 0;
}

/* One that was not touched goes on as it was; so does one that is well with the new version. */
static unsigned on_cancel(struct rolling *r, const struct rolling_input *input)
{
	bool untouched = r->state < ROLLING_RESTART, tried = r->state == ROLLING_PROBATION;

	return undo(r, input->now, input->why ?: "it was cancelled",
		    untouched || (tried && !input->lost));
}

static unsigned fail(struct rolling *r, const struct rolling_input *input)
{
	r->failed_in = r->state;
	problem_set(&r->failure, 0, "%s", input->why ?: "its clients could not be given to others");
	return set_state(r, ROLLING_FAILED, input->now, 0);
}

unsigned rolling_step(struct rolling *r, const struct rolling_input *input)
{
	if (rolling_ended(r))
		return 0;
	switch (input->event) {
	case ROLLING_BEGIN:
		r->begun = input->now;
		return next_slot(r, input->now);
	case ROLLING_NOT_LEFT:
		return fail(r, input);
	case ROLLING_JOB_DONE:
		if (r->state == ROLLING_RESTART)
			return set_state(r, ROLLING_READY, input->now, r->plan.ready_usec);
		return 0;
	case ROLLING_JOB_FAILED:
		if (r->state == ROLLING_RESTART)
			return undo(r, input->now, input->why ?: "the slot did not start again",
				    false);
		return 0;
	case ROLLING_LOOK:
		return on_look(r, input);
	case ROLLING_SMOKE_DONE:
		return r->state == ROLLING_SMOKE ? enter_probation(r, input->now) : 0;
	case ROLLING_SMOKE_FAILED:
		if (r->state == ROLLING_SMOKE)
			return undo(r, input->now, input->why ?: "the smoke test failed", false);
		return 0;
	case ROLLING_CANCEL:
		return on_cancel(r, input);
	}
	return 0;
}

/* Those below it have been upgraded before. */
unsigned rolling_resume(struct rolling *r, unsigned slot, enum rolling_state state, bool ready,
			uint64_t now)
{
	uint32_t done = (1U << slot) - 1;

	r->begun = now;
	r->slot = slot;
	r->upgraded = hs_popcount(r->plan.slots & done);
	r->to_come = r->plan.slots & ~done & ~(1U << slot);
	r->state = MIN(state, ROLLING_PROBATION);
	r->entered = now;
	if (r->state < ROLLING_RESTART)
		return undo(r, now, "hsd was gone meanwhile", true);
	if (r->state == ROLLING_PROBATION && ready)
		return slot_done(r, now);
	if (r->plan.smoke || r->state == ROLLING_PROBATION)
		return undo(r, now, "hsd was gone meanwhile", false);
	r->state = ROLLING_READY;
	r->deadline = now + r->plan.ready_usec;
	return ROLLING_DO_TELL;
}

void rolling_progress(const struct rolling *r, uint64_t left, struct problem *ret_line)
{
	unsigned slot = r->slot;

	if (r->state == ROLLING_LEAVE)
		problem_set(ret_line, 0, "leave: the clients of slot %u go to other slots", slot);
	else if (r->state == ROLLING_DRAIN)
		problem_set(ret_line, 0, "drain: %" PRIu64 " connection%s left on slot %u", left,
			    left == 1 ? "" : "s", slot);
	else if (r->state == ROLLING_RESTART)
		problem_set(ret_line, 0, "restart: slot %u starts the new version", slot);
	else if (r->state == ROLLING_READY)
		problem_set(ret_line, 0, "ready: waiting until slot %u is ready and healthy", slot);
	else if (r->state == ROLLING_SMOKE)
		problem_set(ret_line, 0, "smoke: testing slot %u", slot);
	else if (r->state == ROLLING_PROBATION)
		problem_set(ret_line, 0, "probation: slot %u has its clients again, and is watched",
			    slot);
	else
		problem_set(ret_line, 0, "%s", rolling_state_to_string(r->state));
}

static void describe_undone(const struct rolling *r, const char *service,
			    struct problem *ret_sentence)
{
	unsigned left_alone = hs_popcount(r->to_come);
	struct problem fate;

	if (r->kept && r->failed_in < ROLLING_RESTART)
		problem_set(&fate, 0, "Slot %u serves as before", r->slot);
	else if (r->kept)
		problem_set(&fate, 0, "Slot %u serves with the new version", r->slot);
	else if (comes_back(r))
		problem_set(&fate, 0,
			    "The clients of slot %u are with the others until it is ready, see "
			    "systemctl status %s@%u",
			    r->slot, service, r->slot);
	else
		problem_set(&fate, 0,
			    "Slot %u has the new version and is out of service, its clients are "
			    "with the others; when it is mended: systemctl restart %s@%u",
			    r->slot, service, r->slot);
	problem_set(ret_sentence, 0,
		    "%s: the upgrade was undone at slot %u in its step \"%s\": %.150s. %.200s; %u "
		    "before it ha%s been upgraded, %u behind it left alone.",
		    service, r->slot, rolling_state_to_string(r->failed_in), r->failure.text,
		    fate.text, r->upgraded, r->upgraded == 1 ? "s" : "ve", left_alone);
}

void rolling_describe(const struct rolling *r, const char *service, uint64_t now,
		      struct problem *ret_sentence)
{
	char took[SPAN_TEXT_MAX];

	span_format((now - r->begun) / USEC_PER_MSEC * USEC_PER_MSEC, took, sizeof(took));
	if (r->state == ROLLING_DONE)
		problem_set(ret_sentence, 0,
			    "%s: upgraded in %s, slot by slot; all %u that run have the new "
			    "version, and their clients.",
			    service, took, r->upgraded);
	else if (r->state == ROLLING_UNDONE)
		describe_undone(r, service, ret_sentence);
	else
		problem_set(ret_sentence, 0, "%s: the upgrade failed at slot %u: %.300s.", service,
			    r->slot, r->failure.text);
}
