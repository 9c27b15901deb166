// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/change.h"

#include <string.h>
#include <syslog.h>

#include "plane/pathlink.h"
#include "plane/peers.h"
#include "plane/plane_front.h"
#include "plane/preview/canary.h"
#include "service/report/report.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

static unsigned active_of(const struct plane *plane)
{
	return hs_word_active(plane_word(plane));
}

/* ---- gate ---- */

/* The slot that was active before the last switchover, if the same instance still serves there. */
static enum gate_answer check_previous(const struct plane *plane,
				       const struct change_request *request, unsigned active,
				       unsigned *ret_to)
{
	uint64_t word, cookie;
	unsigned slot;

	plane_previous(plane, &word, &cookie);
	slot = hs_word_active(word);
	*ret_to = HS_SLOT_NONE;
	if (!cookie || slot >= request->n || slot == active)
		return GATE_NOTHING_TO_UNDO;
	*ret_to = slot;
	return plane_slot_has(plane, slot, cookie) ? GATE_OPEN : GATE_PREVIOUS_GONE;
}

static bool active_is_well(const struct change_request *request, unsigned active)
{
	if (active >= request->n || request->states[active] != SLOT_READY)
		return false;
	return !request->health || request->health[active].state != HEALTH_BAD;
}

static void describe_refusal(const struct plane *plane, const struct change_request *request,
			     enum gate_answer answer, unsigned to, struct problem *ret_refusal)
{
	void (*describe)(enum gate_answer, const char *, unsigned, enum slot_state,
			 struct problem *) =
		plane_is_front(plane) ? gate_describe_front : gate_describe;
	const char *service = plane_service(plane);
	const char *reason = request->health && to < request->n ? request->health[to].reason : "";

	if (answer == GATE_UNHEALTHY)
		problem_set(ret_refusal, 0, "%s: slot %u is unhealthy: %.250s", service, to,
			    reason);
	else if (answer == GATE_UNPROVEN && reason[0])
		problem_set(ret_refusal, 0,
			    "%s: slot %u is not known to be healthy yet, its last probe said: "
			    "%.250s",
			    service, to, reason);
	else
		describe(answer, service, to, to < request->n ? request->states[to] : SLOT_DOWN,
			 ret_refusal);
}

enum gate_answer change_gate(const struct plane *plane, const struct change_request *request,
			     struct switchover_plan *ret_plan, struct problem *ret_refusal)
{
	unsigned active = active_of(plane), to = HS_SLOT_NONE;
	struct gate_request gate = {
		.states = request->states,
		.n = request->n,
		.active = active,
		.to = request->to,
		.busy = request->busy,
		.health = request->health,
		.take_unhealthy =
			request->verb != VERB_SWITCHOVER && !active_is_well(request, active),
	};
	enum gate_answer answer = GATE_OPEN;

	if (request->verb == VERB_ROLLBACK && !request->busy) {
		answer = check_previous(plane, request, active, &to);
		gate.to = to;
	}
	if (answer == GATE_OPEN)
		answer = gate_check(&gate, &to);
	if (answer == GATE_OPEN)
		*ret_plan = (struct switchover_plan) {
			.verb = request->verb, .from = active, .to = to, .then = THEN_KEEP};
	else
		describe_refusal(plane, request, answer, to, ret_refusal);
	return answer;
}

/* ---- change ---- */

static struct slot_totals totals_of(const struct plane *plane, unsigned slot)
{
	struct slot_totals totals = {0};

	/* counts that cannot be read must not keep a change from ending */
	if (slot < HS_SLOTS_MAX)
		plane_slot_totals(plane, slot, &totals);
	return totals;
}

void change_init(struct service_change *change, struct plane *plane,
		 const struct switchover_plan *plan)
{
	struct switchover_plan checked = *plan;

	if (plan->verb == VERB_FAILOVER) {
		checked.drain_usec = 0;
		checked.bounce = plan->from < HS_SLOTS_MAX;
	}
	if (plan->verb != VERB_SWITCHOVER)
		checked.then = THEN_KEEP;
	*change = (struct service_change) {.plane = plane};
	switchover_init(&change->machine, &checked);
}

static unsigned step(struct service_change *change, enum switchover_event event, uint64_t now)
{
	struct switchover_input input = {
		.event = event,
		.now = now,
		.remaining = plane_remaining(change->plane, change->machine.plan.from),
	};

	return switchover_step(&change->machine, &input);
}

unsigned change_begin(struct service_change *change, uint64_t now)
{
	return step(change, SWITCHOVER_BEGIN, now);
}

/* What rollback needs to know of the old slot. */
static uint64_t cookie_of_old(const struct service_change *change)
{
	const struct switchover_plan *plan = &change->machine.plan;

	/* what a rollback has undone is not there to be undone again */
	if (plan->verb == VERB_ROLLBACK || plan->from >= HS_SLOTS_MAX)
		return 0;
	return plane_slot_cookie(change->plane, plan->from);
}

/* The word is the old slot's again, or was somebody else's before. */
static void flip_back(struct service_change *change)
{
	const struct switchover_plan *plan = &change->machine.plan;

	plane_edit_word(change->plane, word_leave, WORD_ARGS(.from = plan->to, .to = plan->from),
			NULL);
	if (active_of(change->plane) == plan->from)
		plane_remember(change->plane, change->undo.previous_word,
			       change->undo.previous_cookie);
}

/* Somebody else's flip is looked at by the next tick. */
static bool link_follows(const struct service_change *change)
{
	return active_of(change->plane) != change->machine.plan.to ||
	       pathlink_is_right(change->plane);
}

/* Its clients go to the old slot still, so the word says that, too. */
static unsigned unlinked(struct service_change *change, uint64_t now)
{
	const struct switchover_plan *plan = &change->machine.plan;
	struct switchover_input input = {
		.event = SWITCHOVER_NOT_FLIPPED,
		.now = now,
		.why = "the link of its paths could not be changed, see hsctl status",
	};

	if (plan->from < HS_SLOTS_MAX)
		flip_back(change);
	return switchover_step(&change->machine, &input);
}

unsigned change_flip(struct service_change *change, uint64_t now)
{
	const struct switchover_plan *plan = &change->machine.plan;
	uint64_t begun;
	bool flipped;

	change->closed_before = totals_of(change->plane, plan->from).closed;
	change->migrated_before = totals_of(change->plane, plan->to).migrated_in;
	change->undo.cookie = cookie_of_old(change);
	begun = now_nsec();
	flipped = plane_edit_word(change->plane, word_leave,
				  WORD_ARGS(.from = plan->from, .to = plan->to), &change->undo);
	if (!flipped)
		return step(change, SWITCHOVER_NOT_FLIPPED, now);
	change->flip_nsec = now_nsec() - begun;
	if (!link_follows(change))
		return unlinked(change, now);
	return step(change, SWITCHOVER_FLIPPED, now);
}

static bool target_lost(const struct service_change *change)
{
	unsigned to = change->machine.plan.to;

	return active_of(change->plane) != to || !plane_slot_sockets(change->plane, to);
}

/* The word back to the old slot, unless somebody did so already. -ESTALE: traffic is elsewhere. */
static int undo(struct service_change *change)
{
	const struct switchover_plan *plan = &change->machine.plan;

	if (plan->from >= HS_SLOTS_MAX || !plane_slot_sockets(change->plane, plan->from))
		return -ESTALE;
	flip_back(change);
	return active_of(change->plane) == plan->from ? 0 : -ESTALE;
}

unsigned change_tick(struct service_change *change, uint64_t now)
{
	enum switchover_state state = change->machine.state;

	if (state == SWITCHOVER_FLIP || switchover_ended(&change->machine))
		return 0;
	if (!target_lost(change))
		return step(change, SWITCHOVER_TICK, now);
	/* while the old instance is stopping there is nothing to go back to */
	if (state == SWITCHOVER_FINISH || !undo(change))
		return step(change, SWITCHOVER_TARGET_LOST, now);
	return step(change, SWITCHOVER_BOTH_LOST, now);
}

unsigned change_give_up(struct service_change *change, uint64_t now, const char *why)
{
	struct switchover_input input = {
		.event = SWITCHOVER_TARGET_LOST,
		.now = now,
		.why = why,
	};
	enum switchover_state state = change->machine.state;

	if ((state != SWITCHOVER_SETTLE && state != SWITCHOVER_DRAIN) || undo(change))
		return 0;
	return switchover_step(&change->machine, &input);
}

void change_result(const struct service_change *change, uint64_t now,
		   struct switchover_result *ret_result)
{
	const struct switchover_plan *plan = &change->machine.plan;
	struct switchover_result result = {.duration_usec = now - change->machine.begun};
	struct slot_totals old = totals_of(change->plane, plan->from);

	if (change->undo.word) {
		result.flip_nsec = change->flip_nsec;
		result.moved =
			totals_of(change->plane, plan->to).migrated_in - change->migrated_before;
		result.finished = old.closed - change->closed_before;
		result.remaining = plane_remaining(change->plane, plan->from);
	}
	*ret_result = result;
}

/* ---- policy and canary ---- */

static void log_word(enum journal_kind kind, const struct plane *plane, int slot,
		     const struct journal_actor *by, const struct problem *message)
{
	struct journal_scope scope = {
		.service = plane_service(plane), .slot = slot, .priority = LOG_NOTICE};
	struct journal_deed deed = {
		.verb = journal_kind_to_string(kind),
		.outcome = "done",
		.from = -1,
		.to = slot,
		.by = by ? *by : JOURNAL_NOBODY,
	};

	journal_log_deed(kind, &scope, &deed, "%s", message->text);
}

static const char *policy_meaning(enum hs_policy policy)
{
	switch (policy) {
	case HS_POLICY_PARITY:
		return "even client ports go to slot 0, odd ones to slot 1";
	case HS_POLICY_HASH:
		return "new connections are spread over all slots that are ready";
	default:
		return "new connections go to the active slot";
	}
}

bool change_refuses_paths(const struct plane *plane, const char *what, struct problem *ret_refusal)
{
	const char *live[HS_PATHS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++)
		if (plane_listener_is_live(listeners[i]))
			return false;
	if (!paths_live(plane_paths(plane), live))
		return false;
	problem_set(ret_refusal, 0,
		    "%s: there is no %s for a service with nothing but AF_UNIX sockets: %s is a "
		    "link, which leads to one slot at a time; hsctl switchover flips it",
		    plane_service(plane), what, live[0]);
	return true;
}

bool change_set_policy(struct plane *plane, enum hs_policy policy, const struct journal_actor *by,
		       struct problem *ret_message)
{
	bool is;

	if (policy != HS_POLICY_STANDBY &&
	    change_refuses_paths(plane, "policy but standby", ret_message))
		return false;
	is = !plane_edit_word(plane, word_set_policy, WORD_ARGS(.policy = policy), NULL);
	problem_set(ret_message, 0, "%s: the policy is %s%s: %s.", plane_service(plane),
		    policy_to_string(policy), is ? " already" : " now", policy_meaning(policy));
	if (!is)
		log_word(JOURNAL_POLICY, plane, -1, by, ret_message);
	return true;
}

static enum gate_answer pick_canary(const struct plane *plane, const struct canary_request *request,
				    unsigned *ret_slot, struct problem *ret_refusal)
{
	struct change_request change = {
		.verb = VERB_SWITCHOVER,
		.states = request->states,
		.health = request->health,
		.n = request->n,
		.to = request->to,
	};
	struct switchover_plan plan = {.to = HS_SLOT_NONE};
	enum gate_answer answer = GATE_OPEN;

	if (request->share)
		answer = change_gate(plane, &change, &plan, ret_refusal);
	*ret_slot = plan.to;
	return answer;
}

static void describe_canary(const struct plane *plane, unsigned slot,
			    const struct canary_request *request, struct problem *ret_message)
{
	const struct canary_filter *filter = request->filter;
	bool some = filter && filter->n;
	char from[256] = "";

	if (some)
		canary_format(filter, from, sizeof(from));
	if (request->share)
		problem_set(ret_message, 0, "%s: %.4g%% of %s%s%s go to slot %u%s.",
			    plane_service(plane), request->share * 100.0 / 65536,
			    filter && filter->by_client ? "clients" : "new connections",
			    some ? " from " : "", from, slot,
			    hs_word_policy(plane_word(plane)) == HS_POLICY_STANDBY
				    ? ""
				    : ", once the policy is standby");
	else
		problem_set(ret_message, 0, "%s: there is no canary.", plane_service(plane));
}

enum gate_answer change_set_canary(struct plane *plane, const struct canary_request *request,
				   struct problem *ret_message)
{
	enum gate_answer answer;
	unsigned slot;
	int r;

	if (request->share && change_refuses_paths(plane, "canary", ret_message))
		return GATE_NOT_READY;
	do {
		answer = pick_canary(plane, request, &slot, ret_message);
		if (answer != GATE_OPEN)
			return answer;
		r = plane_set_canary(plane, slot, request->share,
				     request->share ? request->filter : NULL);
	} while (r == -EAGAIN);
	if (r < 0) {
		problem_set(ret_message, r, "%s: the canary cannot be set, and there is %s: %s",
			    plane_service(plane),
			    hs_word_share(plane_word(plane)) ? "still the one before" : "none",
			    r == -EBUSY ? "another process is at it, or was stopped while it was; "
					  "try again"
					: strerror(-r));
		return r == -EBUSY ? GATE_BUSY : GATE_NOT_READY;
	}
	describe_canary(plane, slot, request, ret_message);
	log_word(JOURNAL_CANARY, plane, request->share ? (int)slot : -1, request->by, ret_message);
	return GATE_OPEN;
}

json_object *change_word_json(const struct plane *plane, const char *message)
{
	uint64_t word = plane_word(plane);
	unsigned active = hs_word_active(word), canary = hs_word_canary(word);
	json_object *object = json_object_new_object();
	struct canary_filter filter;

	json_object_object_add(object, "service", json_object_new_string(plane_service(plane)));
	json_object_object_add(object, "policy",
			       json_object_new_string(policy_to_string(hs_word_policy(word))));
	json_object_object_add(object, "generation", json_object_new_uint64(word_generation(word)));
	json_object_object_add(object, "active",
			       active < HS_SLOTS_MAX ? json_object_new_int(active) : NULL);
	json_object_object_add(object, "canary",
			       canary < HS_SLOTS_MAX ? json_object_new_int(canary) : NULL);
	json_object_object_add(object, "canary_share",
			       json_object_new_double(hs_word_share(word) / 65536.0));
	if (!plane_canary_filter(plane, &filter))
		report_canary(object, &filter);
	json_object_object_add(object, "message", json_object_new_string(message));
	return object;
}
