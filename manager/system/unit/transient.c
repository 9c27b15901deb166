// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/unit/units.h"

#include <stdlib.h>
#include <string.h>

#include "util/macro.h"
#include "util/strings.h"

#define SYSTEMD		"org.freedesktop.systemd1"
#define SYSTEMD_PATH	"/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"

/* systemd replaces variables in what it starts: a dollar sign that is for the command is written
 * twice. (There is a flag against it, ExecStartEx= with "no-env-expand"; but systemd 252 writes
 * that into the file of the transient unit and cannot read it again: the unit breaks at the next
 * daemon-reload.) NULL: no memory. */
static char *for_systemd(const char *text)
{
	char *copy = malloc(2 * strlen(text) + 1), *end = copy;

	for (; copy && *text; text++) {
		if (*text == '$')
			*end++ = '$';
		*end++ = *text;
	}
	if (copy)
		*end = '\0';
	return copy;
}

/* "(sv)" of ExecStart= and the like: one command, a(sasb). */
static int append_command(sd_bus_message *m, const char *list, const char *const *argv)
{
	_cleanup_(strings_freep) char **words = NULL;
	int r = 0;

	for (unsigned i = 0; !r && argv[i]; i++)
		r = strings_take(&words, for_systemd(argv[i]));
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", list);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "a(sasb)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sasb)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'r', "sasb");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", argv[0]);
	if (r >= 0)
		r = sd_bus_message_append_strv(m, words);
	if (r >= 0)
		r = sd_bus_message_append(m, "b", false);
	for (unsigned i = 0; r >= 0 && i < 4; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

/* What it has ended with can be read until we let go of it, or are gone. */
static int append_bound(sd_bus_message *m, const struct unit_transient *order)
{
	return sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "SyslogIdentifier", "s",
				     order->identifier, "TimeoutStopUSec", "t", order->stop_usec,
				     "BindsTo", "as", 1, order->binds_to, "AddRef", "b", true);
}

static int append_staying(sd_bus_message *m)
{
	return sd_bus_message_append(m, "(sv)", "Restart", "s", "on-abnormal");
}

static int append_order(sd_bus_message *m, const struct unit_transient *order)
{
	int r = sd_bus_message_append(m, "ss", order->name, "fail");

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sv)");
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "Description", "s",
					  order->description, "Type", "s",
					  order->stays ? "exec" : "oneshot", "TimeoutStartUSec",
					  "t", order->timeout_usec, "CollectMode", "s",
					  order->stays ? "inactive" : "inactive-or-failed");
	if (r >= 0)
		r = order->stays ? append_staying(m) : append_bound(m, order);
	if (r >= 0)
		r = append_command(m, "ExecStart", order->argv);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_append(m, "a(sa(sv))", 0);
}

static int make_order(sd_bus *bus, const struct unit_transient *order, sd_bus_message **ret_message)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					       "StartTransientUnit");

	if (r >= 0)
		r = append_order(m, order);
	if (r < 0)
		return r;
	*ret_message = steal_ptr(&m);
	return 0;
}

int unit_transient_new(sd_bus *bus, const struct unit_transient *order, unit_job_fn on_end,
		       void *userdata, struct unit_job **ret_job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = make_order(bus, order, &m);

	return r < 0 ? r : unit_job_send(bus, m, on_end, userdata, ret_job);
}

void unit_transient_end(sd_bus *bus, const char *unit, bool stop)
{
	if (stop)
		sd_bus_call_method_async(bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					 "StopUnit", NULL, NULL, "ss", unit, "replace");
	sd_bus_call_method_async(bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "UnrefUnit",
				 NULL, NULL, "s", unit);
}

int units_run_transient(sd_bus *bus, const struct unit_transient *order, struct problem *problem)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = make_order(bus, order, &m);

	if (r < 0)
		return problem_set(problem, r, "%s: %s", order->name, strerror(-r));
	/* one of this name that has failed stands in the way; there is none as a rule */
	units_reset_failed(bus, order->name);
	return units_run_order(bus, m, order->name, order->timeout_usec, problem);
}

/* ---- one that follows another ---- */

/* Not by BindsTo=, which would start that one if it has ended meanwhile. */
static int append_follower(sd_bus_message *m, const struct unit_follower *order)
{
	bool or_else = false, not = false, yes = true;
	int r = sd_bus_message_append(m, "ss", order->name, "fail");

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sv)");
	if (r >= 0)
		r = sd_bus_message_append(
			m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s",
			order->description, "Type", "s", "oneshot", "RemainAfterExit", "b", yes,
			"CollectMode", "s", "inactive-or-failed", "PartOf", "as", 1, order->follows,
			"StopPropagatedFrom", "as", 1, order->follows,
			order->after ? "Before" : "After", "as", 1, order->follows, "Conditions",
			"a(sbbs)", 1, "ConditionPathExists", or_else, not, order->while_there);
	if (r >= 0)
		r = append_command(m, "ExecStop", order->argv);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_append(m, "a(sa(sv))", 0);
}

int units_run_follower(sd_bus *bus, const struct unit_follower *order, uint64_t timeout_usec,
		       struct problem *problem)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_(unit_facts_done) struct unit_facts there = {0};
	int r;

	if (units_query(bus, order->name, &there, NULL) >= 0 && unit_lives(&there))
		return 0;
	r = sd_bus_message_new_method_call(bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					   "StartTransientUnit");
	if (r >= 0)
		r = append_follower(m, order);
	if (r < 0)
		return problem_set(problem, r, "%s: %s", order->name, strerror(-r));
	return units_run_order(bus, m, order->name, timeout_usec, problem);
}

void units_end_follower(sd_bus *bus, const char *name)
{
	(void)sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "StopUnit", NULL,
				 NULL, "ss", name, "replace");
}
