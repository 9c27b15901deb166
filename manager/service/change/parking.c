// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/parking.h"

#include <inttypes.h>
#include <stdio.h>
#include <syslog.h>

#include "core/watch/queued.h"
#include "service/change/change.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

bool parking_is_held(const struct plane *plane)
{
	return hs_word_flags(plane_word(plane)) & HS_FLAG_PARK_ALL;
}

uint32_t parking_waiting(const struct plane *plane)
{
	uint32_t queued[HS_PLACES_MAX] = {0};

	/* in an error it is not known */
	(void)plane_queued(plane, queued);
	return queued[HS_SLOT_PARK];
}

/* False when it was so already. */
static bool set_held(struct plane *plane, bool held)
{
	return plane_edit_word(plane, word_park, WORD_ARGS(.on = held), NULL);
}

static void tell(enum journal_kind kind, const struct plane *plane, const struct journal_actor *by,
		 const struct problem *message)
{
	struct journal_scope scope = {plane_service(plane), -1, LOG_NOTICE};
	struct journal_deed deed = {
		.verb = journal_kind_to_string(kind),
		.outcome = "done",
		.from = -1,
		.to = -1,
		.by = by ? *by : JOURNAL_NOBODY,
	};

	journal_log_deed(kind, &scope, &deed, "%s", message->text);
}

/* Listeners that the service serves and that have no park. */
static unsigned without_park(const struct plane *plane)
{
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	unsigned without = 0;

	for (size_t i = 0; i < n; i++)
		without += !listeners[i]->address.udp && listener_live_slots(listeners[i]) &&
			   !listener_sockets(listeners[i], HS_SLOT_PARK, cookies);
	return without;
}

static bool may_hold(const struct plane *plane, const struct config *config,
		     struct problem *ret_refusal)
{
	const char *service = plane_service(plane);

	if (change_refuses_paths(plane, "park", ret_refusal))
		return false;
	if (!config->park)
		problem_set(ret_refusal, 0,
			    "%s: Park=no in its settings, so connections have nowhere to wait; "
			    "set Park=yes in %s.conf and reload: systemctl reload hsd",
			    service, service);
	else if (!plane_has_park(plane) || without_park(plane))
		problem_set(ret_refusal, 0,
			    "%s: connections have nowhere to wait: a park is opened by hsd when an "
			    "instance is adopted; start hsd and an instance, see hsctl events %s",
			    service, service);
	else
		return true;
	return false;
}

bool parking_hold(struct plane *plane, const struct config *config, const struct journal_actor *by,
		  struct problem *ret_message)
{
	const char *service = plane_service(plane);
	char span[SPAN_TEXT_MAX];
	bool is_new;

	if (!may_hold(plane, config, ret_message))
		return false;
	is_new = set_held(plane, true);
	problem_set(ret_message, 0,
		    "%s: new TCP connections wait in the park%s, each for %s at most; let them go: "
		    "hsctl release %s",
		    service, is_new ? " from now on" : " already",
		    span_format(config->park_timeout_usec, span, sizeof(span)), service);
	if (is_new)
		tell(JOURNAL_PARK, plane, by, ret_message);
	return true;
}

void parking_release(struct plane *plane, const struct journal_actor *by,
		     struct problem *ret_message)
{
	const char *service = plane_service(plane);
	uint32_t waiting = parking_waiting(plane);
	bool was_held = set_held(plane, false), is_known = waiting != QUEUED_UNKNOWN;
	char number[16];

	snprintf(number, sizeof(number), "%" PRIu32, waiting);
	if (!was_held)
		problem_set(ret_message, 0, "%s: no connections were held on purpose.", service);
	else if (plane_live_slots(plane))
		problem_set(ret_message, 0,
			    "%s: new connections go to the slots again, and so do %s that waited.",
			    service, is_known ? number : "those");
	else
		problem_set(ret_message, 0,
			    "%s: nothing is held on purpose any more; no slot is ready, so %s wait "
			    "on until one is: systemctl start %s@N",
			    service, is_known ? number : "all", service);
	if (was_held)
		tell(JOURNAL_RELEASE, plane, by, ret_message);
}

/* The active one, or another one that is ready. */
static unsigned who_serves(const struct plane *plane, const enum slot_state *states, unsigned n)
{
	unsigned active = hs_word_active(plane_word(plane));

	if (active < n && slots_ready(states, n) & (1U << active))
		return active;
	return slot_pick_standby(states, n, active);
}

/* Back to itself there is no way. */
static void forget_same(struct plane *plane, unsigned active)
{
	uint64_t word, cookie;

	plane_previous(plane, &word, &cookie);
	if (cookie && hs_word_active(word) == active)
		plane_remember(plane, 0, 0);
}

bool parking_give_up(struct plane *plane, const enum slot_state *states, unsigned n,
		     const struct journal_actor *by, struct problem *ret_message)
{
	const char *service = plane_service(plane);
	unsigned to = who_serves(plane, states, n);

	if (to >= HS_SLOTS_MAX) {
		problem_set(ret_message, 0,
			    "%s: no slot is ready, so new connections have nowhere to go; an hsd "
			    "had begun to change one slot for another, and the next hsd finishes "
			    "that, or undoes it: systemctl start hsd",
			    service);
		return false;
	}
	plane_edit_word(plane, word_release, WORD_ARGS(.to = to), NULL);
	forget_same(plane, to);
	problem_set(ret_message, 0,
		    "%s: the change that an hsd had begun is given up; slot %u is active, and new "
		    "connections go there.",
		    service, to);
	tell(JOURNAL_RELEASE, plane, by, ret_message);
	return true;
}

json_object *parking_json(const struct plane *plane, const char *message)
{
	json_object *object = change_word_json(plane, message);
	uint32_t waiting = parking_waiting(plane);

	json_object_object_add(object, "park", json_object_new_boolean(parking_is_held(plane)));
	json_object_object_add(object, "parked",
			       waiting != QUEUED_UNKNOWN ? json_object_new_int64(waiting) : NULL);
	return object;
}
