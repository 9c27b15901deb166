// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/units.h"

#include "util/macro.h"

/* "(sv)" of ExecStart=: one command, a(sasas). What looks like a variable is for the command, not
 * for systemd. */
static int append_command(sd_bus_message *m, const char *const *argv)
{
	int r = sd_bus_message_open_container(m, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", "ExecStartEx");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "a(sasas)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sasas)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'r', "sasas");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", argv[0]);
	if (r >= 0)
		r = sd_bus_message_append_strv(m, (char **)argv);
	if (r >= 0)
		r = sd_bus_message_append(m, "as", 1, "no-env-expand");
	for (unsigned i = 0; r >= 0 && i < 4; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static int append_order(sd_bus_message *m, const struct unit_transient *order)
{
	int r = sd_bus_message_append(m, "ss", order->name, "fail");

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sv)");
	if (r >= 0)
		r = sd_bus_message_append(
			m, "(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", order->description,
			"SyslogIdentifier", "s", order->identifier, "Type", "s", "oneshot",
			"TimeoutStartUSec", "t", order->timeout_usec, "TimeoutStopUSec", "t",
			order->stop_usec, "CollectMode", "s", "inactive-or-failed");
	/* what it has ended with can be read until we let go of it, or are gone */
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)(sv)", "BindsTo", "as", 1, order->binds_to,
					  "AddRef", "b", true);
	if (r >= 0)
		r = append_command(m, order->argv);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_append(m, "a(sa(sv))", 0);
}

int unit_transient_new(sd_bus *bus, const struct unit_transient *order, unit_job_fn on_end,
		       void *userdata, struct unit_job **ret_job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(
		bus, &m, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "StartTransientUnit");

	if (r >= 0)
		r = append_order(m, order);
	return r < 0 ? r : unit_job_send(bus, m, on_end, userdata, ret_job);
}

void unit_transient_end(sd_bus *bus, const char *unit, bool stop)
{
	static const char systemd[] = "org.freedesktop.systemd1",
			  path[] = "/org/freedesktop/systemd1",
			  manager[] = "org.freedesktop.systemd1.Manager";

	if (stop)
		sd_bus_call_method_async(bus, NULL, systemd, path, manager, "StopUnit", NULL, NULL,
					 "ss", unit, "replace");
	sd_bus_call_method_async(bus, NULL, systemd, path, manager, "UnrefUnit", NULL, NULL, "s",
				 unit);
}
