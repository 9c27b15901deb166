// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/change/slot.h"

#include <assert.h>
#include <string.h>

#include "hs_decide.h"
#include "util/macro.h"

static const char *const state_names[] = {
	[SLOT_UNKNOWN] = "unknown",	  [SLOT_DOWN] = "down",
	[SLOT_STARTING] = "starting",	  [SLOT_READY] = "ready",
	[SLOT_INCOMPLETE] = "incomplete", [SLOT_UNADOPTED] = "not-adopted",
	[SLOT_SUSPECT] = "suspect",	  [SLOT_FULL] = "full",
	[SLOT_LEAVING] = "leaving",	  [SLOT_STOPPING] = "stopping",
	[SLOT_FAILED] = "failed",
};
_Static_assert(ARRAY_SIZE(state_names) == SLOT_STATE_COUNT, "a name for each state");

static const char *const role_names[] = {
	[ROLE_ACTIVE] = "active",
	[ROLE_STANDBY] = "standby",
	[ROLE_CANARY] = "canary",
};
_Static_assert(ARRAY_SIZE(role_names) == ROLE_COUNT, "a name for each role");

/* All that systemd says up to 258. One that is refreshing is given files or credentials while it
 * serves; maintenance is cleaning up behind one that is down. */
static const struct {
	const char *word;
	enum unit_state state;
} unit_words[] = {
	{"active", UNIT_RUNNING},
	{"reloading", UNIT_RUNNING},
	{"refreshing", UNIT_RUNNING},
	{"activating", UNIT_STARTING},
	{"deactivating", UNIT_STOPPING},
	{"failed", UNIT_FAILED},
	{"inactive", UNIT_DOWN},
	{"maintenance", UNIT_DOWN},
	{"", UNIT_DOWN},
};

enum slot_state slot_state_of(const struct slot_facts *facts)
{
	switch (facts->unit) {
	case UNIT_UNKNOWN:
		return SLOT_UNKNOWN;
	case UNIT_STARTING:
		return SLOT_STARTING;
	case UNIT_START_POST:
	case UNIT_RUNNING:
		if (facts->retired)
			return SLOT_LEAVING;
		if (facts->suspect)
			return facts->full ? SLOT_FULL : SLOT_SUSPECT;
		if (facts->unit == UNIT_START_POST && facts->unproven)
			return SLOT_STARTING;
		if (!facts->sockets)
			return facts->unit == UNIT_RUNNING ? SLOT_UNADOPTED : SLOT_STARTING;
		return facts->incomplete ? SLOT_INCOMPLETE : SLOT_READY;
	case UNIT_STOPPING:
		return SLOT_STOPPING;
	case UNIT_FAILED:
		return SLOT_FAILED;
	default:
		return SLOT_DOWN;
	}
}

enum slot_role slot_role_of(uint64_t word, unsigned slot)
{
	if (hs_word_active(word) == slot)
		return ROLE_ACTIVE;
	return hs_word_canary(word) == slot ? ROLE_CANARY : ROLE_STANDBY;
}

const char *slot_state_to_string(enum slot_state state)
{
	return state < SLOT_STATE_COUNT ? state_names[state] : "unknown";
}

const char *slot_role_to_string(enum slot_role role)
{
	return role < ROLE_COUNT ? role_names[role] : "unknown";
}

enum unit_state unit_state_from_strings(const char *active_state, const char *sub_state)
{
	if (!strcmp(active_state, "activating") && !strcmp(sub_state, "start-post"))
		return UNIT_START_POST;
	for (size_t i = 0; i < ARRAY_SIZE(unit_words); i++)
		if (!strcmp(active_state, unit_words[i].word))
			return unit_words[i].state;
	return UNIT_UNKNOWN;
}

uint32_t slots_ready(const enum slot_state *states, unsigned n)
{
	uint32_t ready = 0;

	for (unsigned i = 0; i < n; i++)
		if (states[i] == SLOT_READY)
			ready |= 1U << i;
	return ready;
}

uint32_t slots_proven(const enum slot_state *states, unsigned n, uint32_t mask)
{
	for (unsigned i = 0; i < n; i++)
		if (states[i] == SLOT_STARTING)
			mask &= ~(1U << i);
	return mask;
}

unsigned slot_pick_standby(const enum slot_state *states, unsigned n, unsigned active)
{
	assert(n <= HS_SLOTS_MAX);
	for (unsigned i = 1; i <= n; i++) {
		unsigned slot = active < n ? (active + i) % n : i - 1;

		if (slot != active && states[slot] == SLOT_READY)
			return slot;
	}
	return HS_SLOT_NONE;
}

unsigned slot_pick_fittest(const enum slot_state *states, const struct slot_health *health,
			   unsigned n, unsigned active)
{
	static const enum health_state best_first[] = {HEALTH_GOOD, HEALTH_UNKNOWN, HEALTH_BAD};
	enum slot_state ready[HS_SLOTS_MAX];
	unsigned slot;

	if (!health)
		return slot_pick_standby(states, n, active);
	for (unsigned k = 0; k < ARRAY_SIZE(best_first); k++) {
		for (unsigned i = 0; i < n; i++)
			ready[i] = health[i].state == best_first[k] ? states[i] : SLOT_DOWN;
		slot = slot_pick_standby(ready, n, active);
		if (slot != HS_SLOT_NONE)
			return slot;
	}
	return HS_SLOT_NONE;
}

static enum gate_answer check_health(const struct gate_request *request, unsigned to)
{
	enum health_state state;

	if (!request->health || request->take_unhealthy)
		return GATE_OPEN;
	state = request->health[to].state;
	return state == HEALTH_GOOD  ? GATE_OPEN
	       : state == HEALTH_BAD ? GATE_UNHEALTHY
				     : GATE_UNPROVEN;
}

static enum gate_answer check_slot(const struct gate_request *request, unsigned to)
{
	if (to >= request->n)
		return GATE_NO_SUCH_SLOT;
	if (to == request->active)
		return GATE_ALREADY_ACTIVE;
	return request->states[to] == SLOT_READY ? check_health(request, to) : GATE_NOT_READY;
}

enum gate_answer gate_check(const struct gate_request *request, unsigned *ret_to)
{
	unsigned to = request->to;

	*ret_to = request->to < 0 ? HS_SLOT_NONE : to;
	if (request->busy)
		return GATE_BUSY;
	if (request->to >= 0)
		return check_slot(request, to);
	to = slot_pick_fittest(request->states, request->health, request->n, request->active);
	assert(to == HS_SLOT_NONE || (to < request->n && to != request->active));
	if (to != HS_SLOT_NONE) {
		*ret_to = to;
		return check_health(request, to);
	}
	/* with one other slot, say what is the matter with that one */
	if (request->n == 2 && request->active < 2)
		*ret_to = !request->active;
	return *ret_to == HS_SLOT_NONE ? GATE_NO_STANDBY : GATE_NOT_READY;
}

static const char *not_ready_remedy(enum slot_state state)
{
	switch (state) {
	case SLOT_UNKNOWN:
		return "systemd has not told about it yet; wait, or see systemctl status";
	case SLOT_STARTING:
		return "wait until it has started";
	case SLOT_INCOMPLETE:
		return "it lacks an address that the active slot serves: see hsctl status, or name "
		       "the ports that both serve in Ports=";
	case SLOT_UNADOPTED:
		return "none of its listening sockets could be adopted: see hsctl status for the "
		       "reason";
	case SLOT_FULL:
		return "what it has in work goes on: wait until it accepts connections again, or "
		       "restart it";
	case SLOT_SUSPECT:
		return "it hangs: restart it, or wait until it accepts connections again";
	case SLOT_LEAVING:
	case SLOT_STOPPING:
		return "it is on its way out: start it again";
	case SLOT_FAILED:
		return "see journalctl -u for the reason, then start it";
	default:
		return "start it";
	}
}

void gate_describe(enum gate_answer answer, const char *service, unsigned to, enum slot_state state,
		   struct problem *ret_sentence)
{
	struct problem *p = ret_sentence;

	switch (answer) {
	case GATE_BUSY:
		problem_set(p, 0, "%s: another change of this service is running; wait for its end",
			    service);
		break;
	case GATE_NO_STANDBY:
		problem_set(p, 0, "%s: no other slot is ready; start one: systemctl start %s@N",
			    service, service);
		break;
	case GATE_NO_SUCH_SLOT:
		problem_set(p, 0, "%s has no slot %u; see hsctl status %s, or Slots= in %s.conf",
			    service, to, service, service);
		break;
	case GATE_ALREADY_ACTIVE:
		problem_set(p, 0, "%s: slot %u is the active one already", service, to);
		break;
	case GATE_NOT_READY:
		problem_set(p, 0, "%s: slot %u (%s@%u.service) is %s, not ready; %s", service, to,
			    service, to, slot_state_to_string(state), not_ready_remedy(state));
		break;
	case GATE_UNHEALTHY:
		problem_set(p, 0, "%s: slot %u is unhealthy; see hsctl status %s", service, to,
			    service);
		break;
	case GATE_UNPROVEN:
		problem_set(p, 0,
			    "%s: slot %u is not known to be healthy yet; wait, or see hsctl status "
			    "%s",
			    service, to, service);
		break;
	case GATE_NOTHING_TO_UNDO:
		problem_set(p, 0, "%s: there is no switchover to undo", service);
		break;
	case GATE_PREVIOUS_GONE:
		problem_set(p, 0,
			    "%s: the instance of slot %u that was active before is gone, so there "
			    "is nothing to go back to; use hsctl switchover",
			    service, to);
		break;
	default:
		problem_set(p, 0, "%s: nothing stands against it", service);
	}
}

static const char *host_remedy(enum slot_state state)
{
	if (state == SLOT_LEAVING)
		return "it was drained, or says that it leaves: hsctl adopt takes it back, or "
		       "hsctl join there";
	return "see hsctl status for what it says";
}

void gate_describe_front(enum gate_answer answer, const char *service, unsigned to,
			 enum slot_state state, struct problem *ret_sentence)
{
	if (answer == GATE_NO_STANDBY)
		problem_set(ret_sentence, 0,
			    "%s: no other host takes new connections; see hsctl status %s", service,
			    service);
	else if (answer == GATE_NOT_READY)
		problem_set(ret_sentence, 0, "%s: host %u is %s, not ready; %s", service, to,
			    slot_state_to_string(state), host_remedy(state));
	else if (answer == GATE_PREVIOUS_GONE)
		problem_set(ret_sentence, 0,
			    "%s: host %u that was active before has been away since, so there is "
			    "nothing to go back to; use hsctl switchover",
			    service, to);
	else
		gate_describe(answer, service, to, state, ret_sentence);
}
