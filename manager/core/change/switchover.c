// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/change/switchover.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "hs_abi.h"
#include "util/clock.h"
#include "util/macro.h"

/* Longer than systemd waits for a unit to stop by default; the unit's own timeouts are what counts.
 */
#define FINISH_DEADLINE (600 * USEC_PER_SEC)
#define FLIP_DEADLINE	(1 * USEC_PER_SEC)

/* How often connections are counted while draining: often at first, so that a short drain ends at
 * once. */
#define POLL_MIN (5 * USEC_PER_MSEC)
#define POLL_MAX (250 * USEC_PER_MSEC)

static const char *const step_names[] = {
	[SWITCHOVER_FLIP] = "flip",	[SWITCHOVER_SETTLE] = "settle",
	[SWITCHOVER_DRAIN] = "drain",	[SWITCHOVER_FINISH] = "finish",
	[SWITCHOVER_DONE] = "done",	[SWITCHOVER_UNDONE] = "undone",
	[SWITCHOVER_FAILED] = "failed",
};
_Static_assert(ARRAY_SIZE(step_names) == SWITCHOVER_STATE_COUNT, "a name for each state");

/* Where each state may lead. The old instance is told to stop after the flip has settled, and an
 * end is never left. */
#define TO(state) (1U << (state))
static const unsigned ways[SWITCHOVER_STATE_COUNT] = {
	[SWITCHOVER_FLIP] = TO(SWITCHOVER_FLIP) | TO(SWITCHOVER_SETTLE) | TO(SWITCHOVER_UNDONE) |
			    TO(SWITCHOVER_FAILED),
	[SWITCHOVER_SETTLE] = TO(SWITCHOVER_DRAIN) | TO(SWITCHOVER_FINISH) | TO(SWITCHOVER_DONE) |
			      TO(SWITCHOVER_UNDONE) | TO(SWITCHOVER_FAILED),
	[SWITCHOVER_DRAIN] = TO(SWITCHOVER_FINISH) | TO(SWITCHOVER_DONE) | TO(SWITCHOVER_UNDONE) |
			     TO(SWITCHOVER_FAILED),
	[SWITCHOVER_FINISH] = TO(SWITCHOVER_DONE) | TO(SWITCHOVER_FAILED),
};

static const char *const verb_names[] = {
	[VERB_SWITCHOVER] = "switchover",
	[VERB_ROLLBACK] = "rollback",
	[VERB_FAILOVER] = "failover",
};
_Static_assert(ARRAY_SIZE(verb_names) == VERB_COUNT, "a name for each verb");

const char *const switchover_then_names[] = {
	[THEN_KEEP] = "keep",
	[THEN_STOP] = "stop",
	[THEN_RESTART] = "restart",
};
_Static_assert(ARRAY_SIZE(switchover_then_names) == THEN_COUNT, "a name for each end");

void switchover_init(struct switchover *s, const struct switchover_plan *plan)
{
	assert(plan->to < HS_SLOTS_MAX && plan->from != plan->to);
	assert(plan->verb < VERB_COUNT && plan->then < THEN_COUNT);
	*s = (struct switchover) {.plan = *plan, .state = SWITCHOVER_FLIP};
}

/* The one place where the state changes. */
static unsigned set_state(struct switchover *s, enum switchover_state state, uint64_t now,
			  uint64_t allowed)
{
	assert(ways[s->state] & TO(state));
	s->state = state;
	s->entered = now;
	s->deadline = now + allowed;
	return SWITCHOVER_DO_TELL | (switchover_ended(s) ? SWITCHOVER_DO_END : 0);
}

static unsigned fail(struct switchover *s, uint64_t now, const char *why)
{
	s->failure = why;
	return set_state(s, SWITCHOVER_FAILED, now, 0);
}

static unsigned enter_finish(struct switchover *s, uint64_t now)
{
	static const unsigned actions[THEN_COUNT] = {
		[THEN_STOP] = SWITCHOVER_DO_STOP,
		[THEN_RESTART] = SWITCHOVER_DO_RESTART,
	};

	if (s->plan.then == THEN_KEEP || s->plan.from >= HS_SLOTS_MAX)
		return set_state(s, SWITCHOVER_DONE, now, 0);
	return set_state(s, SWITCHOVER_FINISH, now, FINISH_DEADLINE) | actions[s->plan.then];
}

static unsigned on_drain(struct switchover *s, const struct switchover_input *input)
{
	bool told = s->remaining == input->remaining;

	s->remaining = input->remaining;
	if (!input->remaining || input->now >= s->deadline)
		return enter_finish(s, input->now);
	return told ? 0 : SWITCHOVER_DO_TELL;
}

static unsigned on_settle(struct switchover *s, const struct switchover_input *input)
{
	unsigned actions = 0;

	s->remaining = input->remaining;
	if (input->now < s->deadline)
		return 0;
	if (s->plan.bounce)
		actions = SWITCHOVER_DO_BOUNCE;
	if (!s->plan.drain_usec || !input->remaining)
		return actions | enter_finish(s, input->now);
	return actions | set_state(s, SWITCHOVER_DRAIN, input->now, s->plan.drain_usec);
}

static unsigned on_tick(struct switchover *s, const struct switchover_input *input)
{
	switch (s->state) {
	case SWITCHOVER_SETTLE:
		return on_settle(s, input);
	case SWITCHOVER_DRAIN:
		return on_drain(s, input);
	case SWITCHOVER_FINISH:
		if (input->now < s->deadline)
			return 0;
		return fail(s, input->now, "the old instance did not stop in time");
	default:
		return 0;
	}
}

static unsigned on_flipped(struct switchover *s, const struct switchover_input *input)
{
	unsigned actions = set_state(s, SWITCHOVER_SETTLE, input->now, s->plan.settle_usec);

	/* nothing to wait for: go on in the same step */
	return s->plan.settle_usec ? actions : on_settle(s, input);
}

static unsigned on_target_lost(struct switchover *s, uint64_t now, const char *why)
{
	if (why)
		problem_set(&s->unwell, 0, "%.250s", why);
	if (s->state == SWITCHOVER_FINISH)
		return fail(s, now, "the new instance was lost while the old one was stopping");
	return set_state(s, SWITCHOVER_UNDONE, now, 0);
}

unsigned switchover_step(struct switchover *s, const struct switchover_input *input)
{
	if (switchover_ended(s))
		return 0;
	switch (input->event) {
	case SWITCHOVER_BEGIN:
		s->begun = input->now;
		return SWITCHOVER_DO_FLIP |
		       set_state(s, SWITCHOVER_FLIP, input->now, FLIP_DEADLINE);
	case SWITCHOVER_FLIPPED:
		return s->state == SWITCHOVER_FLIP ? on_flipped(s, input) : 0;
	case SWITCHOVER_NOT_FLIPPED:
		return fail(s, input->now,
			    input->why ?: "the routing word was changed by somebody else");
	case SWITCHOVER_TICK:
		return on_tick(s, input);
	case SWITCHOVER_TARGET_LOST:
		return on_target_lost(s, input->now, input->why);
	case SWITCHOVER_BOTH_LOST:
		return fail(s, input->now, "both instances were lost, or a third one took over");
	case SWITCHOVER_OLD_DONE:
		return s->state == SWITCHOVER_FINISH ? set_state(s, SWITCHOVER_DONE, input->now, 0)
						     : 0;
	case SWITCHOVER_OLD_FAILED:
		return fail(s, input->now, "the old instance could not be stopped or restarted");
	}
	return 0;
}

uint64_t switchover_wake(const struct switchover *s, uint64_t now)
{
	uint64_t poll;

	if (switchover_ended(s))
		return USEC_INFINITY;
	if (s->state != SWITCHOVER_DRAIN)
		return s->deadline;
	poll = MIN(MAX((now - s->entered) / 10, POLL_MIN), POLL_MAX);
	return MIN(now + poll, s->deadline);
}

bool switchover_ended(const struct switchover *s)
{
	return s->state >= SWITCHOVER_DONE;
}

const char *switchover_step_name(const struct switchover *s)
{
	if (s->state == SWITCHOVER_FINISH)
		return switchover_then_names[s->plan.then];
	return s->state < SWITCHOVER_STATE_COUNT ? step_names[s->state] : "unknown";
}

const char *switchover_verb_to_string(enum switchover_verb verb)
{
	return verb < VERB_COUNT ? verb_names[verb] : "unknown";
}

const char *switchover_then_to_string(enum switchover_then then)
{
	return then < THEN_COUNT ? switchover_then_names[then] : "unknown";
}

enum switchover_then switchover_then_from_string(const char *text)
{
	for (unsigned i = 0; i < THEN_COUNT; i++)
		if (!strcmp(text, switchover_then_names[i]))
			return i;
	return THEN_COUNT;
}

static const char *what_became_of_old(const struct switchover *s)
{
	static const char *const words[THEN_COUNT] = {
		[THEN_KEEP] = "stands by",
		[THEN_STOP] = "is stopped",
		[THEN_RESTART] = "was restarted and stands by",
	};

	return words[s->plan.then];
}

static void describe_done(const struct switchover *s, const char *service,
			  const struct switchover_result *result, struct problem *ret_sentence)
{
	char span[SPAN_TEXT_MAX], left[64] = "";

	span_format(result->duration_usec, span, sizeof(span));
	if (s->plan.from >= HS_SLOTS_MAX) {
		problem_set(ret_sentence, 0, "%s: slot %u is active, after %s.", service,
			    s->plan.to, span);
		return;
	}
	if (result->remaining)
		snprintf(left, sizeof(left), " and %" PRIu64 " still there", result->remaining);
	problem_set(ret_sentence, 0,
		    "%s: slot %u took over from slot %u in %s; %" PRIu64 " waiting moved, %" PRIu64
		    " finished on slot %u%s; slot %u %s.",
		    service, s->plan.to, s->plan.from, span, result->moved, result->finished,
		    s->plan.from, left, s->plan.from, what_became_of_old(s));
}

void switchover_describe(const struct switchover *s, const char *service,
			 const struct switchover_result *result, struct problem *ret_sentence)
{
	if (s->state == SWITCHOVER_DONE)
		describe_done(s, service, result, ret_sentence);
	else if (s->state == SWITCHOVER_UNDONE && s->unwell.text[0])
		problem_set(ret_sentence, 0,
			    "%s: undone: slot %u became unhealthy during the %s: %s; traffic is "
			    "back on slot %u.",
			    service, s->plan.to, switchover_verb_to_string(s->plan.verb),
			    s->unwell.text, s->plan.from);
	else if (s->state == SWITCHOVER_UNDONE)
		problem_set(ret_sentence, 0,
			    "%s: undone: slot %u was lost during the %s; traffic is back on slot "
			    "%u. See journalctl -u %s@%u.",
			    service, s->plan.to, switchover_verb_to_string(s->plan.verb),
			    s->plan.from, service, s->plan.to);
	else
		problem_set(ret_sentence, 0, "%s: the %s from slot %u to slot %u failed: %s.",
			    service, switchover_verb_to_string(s->plan.verb), s->plan.from,
			    s->plan.to, s->failure ?: "it has not ended");
}

void switchover_progress(const struct switchover *s, struct problem *ret_line)
{
	char span[SPAN_TEXT_MAX];

	switch (s->state) {
	case SWITCHOVER_FLIP:
		problem_set(ret_line, 0, "flip: slot %u is ready", s->plan.to);
		break;
	case SWITCHOVER_SETTLE:
		problem_set(ret_line, 0, "settle: new connections go to slot %u; waiting %s",
			    s->plan.to, span_format(s->plan.settle_usec, span, sizeof(span)));
		break;
	case SWITCHOVER_DRAIN:
		problem_set(ret_line, 0, "drain: %" PRIu64 " connection%s left on slot %u",
			    s->remaining, s->remaining == 1 ? "" : "s", s->plan.from);
		break;
	case SWITCHOVER_FINISH:
		problem_set(ret_line, 0, "%s: slot %u", switchover_then_names[s->plan.then],
			    s->plan.from);
		break;
	default:
		problem_set(ret_line, 0, "%s", switchover_step_name(s));
	}
}
