// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/takeover_steps.h"

#include <string.h>

#include "hsctl/json.h"
#include "hsctl/verb/room.h"
#include "hsctl/verb/verb.h"
#include "plane/borrow/scan.h"
#include "plane/kernel/ephemeral.h"
#include "util/clock.h"

#define READY_USEC (30 * USEC_PER_SEC)

int takeover_make_room(struct takeover *t)
{
	char unit[UNIT_NAME_MAX], text[128];
	int n;

	(void)name_unit(t->plan->service, 0, unit, sizeof(unit));
	n = room_in_unit(t->systemd, t->plain.name, unit, &t->plan->config, &t->problem);
	if (n < 0)
		return n;
	snprintf(text, sizeof(text), "%d socket%s of it can be joined now", n, n == 1 ? "" : "s");
	if (n)
		takeover_step(t, "share", text);
	return 0;
}

static json_object *describe(const struct takeover *t)
{
	json_object *status = NULL;
	struct reply reply = {0};
	bool direct;

	if (!verb_describe(t->arguments, t->plan->service, &reply, &direct))
		status = json_parse(reply.text);
	reply_done(&reply);
	return status;
}

/* `ret_why` empty = it is ready. False: it will not be. */
static bool read_slot(const struct takeover *t, unsigned slot, struct problem *ret_why)
{
	_cleanup_(json_object_putp) json_object *status = describe(t), *one = NULL;
	const char *state, *problem;

	one = json_object_get(json_object_array_get_idx(json_array(status, "slots"), slot));
	state = json_text(one, "state");
	problem = json_text(one, "problem");
	problem_set(ret_why, 0, "%s", "");
	if (strcmp(state, "ready"))
		problem_set(ret_why, 0, "slot %u is %s%s%.400s", slot, state[0] ? state : "unknown",
			    problem[0] ? ": " : "", problem);
	if (!strcmp(state, "down"))
		problem_set(ret_why, 0,
			    "slot %u has ended by itself, as servers do that find the PID file of "
			    "another; give each slot one of its own, by %%i in the unit or "
			    "$HOTSTANDBY_SLOT in the settings, see hotstandby(7)",
			    slot);
	return strcmp(state, "down") && strcmp(state, "failed");
}

static int wait_until_ready(struct takeover *t, unsigned slot)
{
	uint64_t deadline = now_usec() + READY_USEC;

	while (read_slot(t, slot, &t->problem) && t->problem.text[0] && now_usec() < deadline)
		takeover_pause(TAKEOVER_LOOK_USEC);
	return t->problem.text[0] ? -ETIMEDOUT : 0;
}

static int start_slot(struct takeover *t, unsigned slot)
{
	char unit[UNIT_NAME_MAX];
	int r;

	(void)name_unit(t->plan->service, slot, unit, sizeof(unit));
	takeover_step(t, "start", unit);
	if (!(t->plan->running & (1U << slot)))
		t->started |= 1U << slot;
	r = units_run_job(t->systemd, UNIT_START, unit, TAKEOVER_JOB_USEC, &t->problem);
	return r < 0 ? r : wait_until_ready(t, slot);
}

int takeover_start_slots(struct takeover *t)
{
	int r = 0;

	for (unsigned slot = 0; r >= 0 && slot < t->plan->config.slots; slot++)
		r = start_slot(t, slot);
	return r;
}

static bool has_listener(json_object *status, const struct address *address)
{
	json_object *listeners = json_array(status, "listeners");
	char text[ADDRESS_TEXT_MAX];

	address_format(address, text);
	for (size_t i = 0; i < json_count(listeners); i++) {
		json_object *one = json_object_array_get_idx(listeners, i);

		if (!strcmp(json_text(one, "address"), text) &&
		    !strcmp(json_text(one, "protocol"), address->udp ? "udp" : "tcp"))
			return true;
	}
	return false;
}

int takeover_check_addresses(struct takeover *t)
{
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};
	_cleanup_(json_object_putp) json_object *status = describe(t);
	_cleanup_(freep) struct held_socket *held = NULL;
	const char *path = plainpaths_missing(&t->paths, status);
	struct ephemeral range = ephemeral_range();
	char text[ADDRESS_TEXT_MAX];
	size_t n = 0;

	if (path)
		return problem_set(&t->problem, -EADDRNOTAVAIL,
				   "the slots do not serve %s, which %s does; give them the same "
				   "path, or say with --path= what is meant",
				   path, t->plain.name);
	if (!t->plain.running || units_query(t->systemd, t->plain.name, &facts, NULL) < 0 ||
	    scan_cgroup(facts.control_group, &held, &n) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		const struct address *address = &held[i].socket.address;

		if (config_serves(&t->plan->config, address, ephemeral_has(range, address->port)) &&
		    !has_listener(status, address))
			return problem_set(
				&t->problem, -EADDRNOTAVAIL,
				"the slots do not serve %s, which %s does; give them the "
				"same address, or say with Ports= in %s.conf what is meant",
				address_describe(address, text), t->plain.name, t->plan->service);
	}
	return 0;
}
