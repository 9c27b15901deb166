// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/unit/unitask.h"

#include <string.h>

#include "system/unit/unitfacts.h"
#include "system/unit/unitlink.h"
#include "system/unit/units.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

#define SYSTEMD_SERVICE SYSTEMD ".Service"
#define MACHINED	"org.freedesktop.machine1"
#define MACHINED_PATH	"/org/freedesktop/machine1"

/* ---- one unit ---- */

static int ask_text(sd_bus *bus, const char *unit, const char *interface, const char *property,
		    char **ret_text)
{
	_cleanup_(freep) char *path = NULL;
	int r = unit_path(unit, &path);

	if (r >= 0)
		r = sd_bus_get_property_string(bus, SYSTEMD, path, interface, property, NULL,
					       ret_text);
	return MIN(r, 0);
}

int unitask_state(sd_bus *bus, const char *unit, char **ret_state)
{
	return ask_text(bus, unit, SYSTEMD_UNIT, "ActiveState", ret_state);
}

int unitask_type(sd_bus *bus, const char *unit, char **ret_type)
{
	return ask_text(bus, unit, SYSTEMD_SERVICE, "Type", ret_type);
}

bool unitask_can_reload(sd_bus *bus, const char *unit)
{
	_cleanup_(freep) char *path = NULL;
	int can = false;

	if (unit_path(unit, &path) >= 0)
		(void)sd_bus_get_property_trivial(bus, SYSTEMD, path, SYSTEMD_UNIT, "CanReload",
						  NULL, 'b', &can);
	return can;
}

static int join_lines(const char *file, char *const *words, char **ret_text)
{
	_cleanup_(freep) char *text = strdup(file);

	for (char *const *p = words; text && p && *p; p++) {
		_cleanup_(freep) char *before = text;

		text = format("%s\n%s", before, *p);
	}
	*ret_text = steal_ptr(&text);
	return *ret_text ? 0 : -ENOMEM;
}

int unitask_command(sd_bus *bus, const char *unit, char **ret_command)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(strings_freep) char **words = NULL;
	_cleanup_(freep) char *path = NULL;
	const char *file;
	int r = unit_path(unit, &path);

	if (r >= 0)
		r = sd_bus_get_property(bus, SYSTEMD, path, SYSTEMD_SERVICE, "ExecStart", NULL,
					&reply, "a(sasbttttuii)");
	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "(sasbttttuii)");
	if (r > 0)
		r = sd_bus_message_enter_container(reply, 'r', "sasbttttuii");
	if (r > 0)
		r = sd_bus_message_read(reply, "s", &file);
	if (r > 0)
		r = sd_bus_message_read_strv(reply, &words);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return join_lines(file, words, ret_command);
}

int unitask_job(sd_bus *bus, const char *unit, char **ret_type)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(freep) char *path = NULL;
	const char *job;
	int r = unit_path(unit, &path);

	if (r >= 0)
		r = sd_bus_get_property(bus, SYSTEMD, path, SYSTEMD_UNIT, "Job", NULL, &reply,
					"(uo)");
	if (r >= 0)
		r = sd_bus_message_read(reply, "(uo)", NULL, &job);
	if (r >= 0)
		r = sd_bus_get_property_string(bus, SYSTEMD, job, SYSTEMD_JOB, "JobType", NULL,
					       ret_type);
	return MIN(r, 0);
}

int unitask_reload(sd_bus *bus, const char *unit, uint64_t timeout_usec, struct problem *problem)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *order = NULL;
	int r = sd_bus_message_new_method_call(bus, &order, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					       "ReloadUnit");

	if (r >= 0)
		r = sd_bus_message_append(order, "ss", unit, "replace");
	if (r < 0)
		return problem_set(problem, r, "systemd cannot be told to reload %s: %s", unit,
				   strerror(-r));
	return units_run_order(bus, order, unit, timeout_usec, problem);
}

/* ---- at boot ---- */

bool unitask_is_enabled(sd_bus *bus, const char *unit)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;
	const char *state;

	return sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "GetUnitFileState",
				  NULL, &answer, "s", unit) >= 0 &&
	       sd_bus_message_read(answer, "s", &state) >= 0 && !strcmp(state, "enabled");
}

int unitask_enable(sd_bus *bus, char *const *units, bool on)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
	int runtime = false, force = false;
	int r = sd_bus_message_new_method_call(bus, &call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					       on ? "EnableUnitFiles" : "DisableUnitFiles");

	if (r >= 0)
		r = sd_bus_message_append_strv(call, (char **)units);
	if (r >= 0)
		r = on ? sd_bus_message_append(call, "bb", runtime, force)
		       : sd_bus_message_append(call, "b", runtime);
	if (r >= 0)
		r = sd_bus_call(bus, call, 0, NULL, NULL);
	return MIN(r, 0);
}

int unitask_enable_one(sd_bus *bus, const char *unit, bool on)
{
	char *units[] = {(char *)unit, NULL};

	return unitask_enable(bus, units, on);
}

/* ---- lists ---- */

/* Waits as long as for any other call of this bus, and starts nobody. */
static int ask_list(sd_bus *bus, sd_bus_message *call, const char *types,
		    sd_bus_message **ret_answer)
{
	int r = sd_bus_message_set_auto_start(call, false);

	if (r >= 0)
		r = sd_bus_call(bus, call, 0, NULL, ret_answer);
	if (r >= 0)
		r = sd_bus_message_enter_container(*ret_answer, 'a', types);
	return MIN(r, 0);
}

static int new_call(sd_bus *bus, const char *method, sd_bus_message **ret_call)
{
	return sd_bus_message_new_method_call(bus, ret_call, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					      method);
}

int unitask_services(sd_bus *bus, unitask_fn on_unit, void *userdata)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *answer = NULL;
	const char *name, *what;
	int r = new_call(bus, "ListUnitsByPatterns", &call);

	/* all that are UNIT_RUNNING */
	if (r >= 0)
		r = sd_bus_message_append(call, "asas", 3, "active", "reloading", "refreshing", 1,
					  "*.service");
	if (r >= 0)
		r = ask_list(bus, call, "(ssssssouso)", &answer);
	while (r >= 0 && (r = sd_bus_message_read(answer, "(ssssssouso)", &name, &what, NULL, NULL,
						  NULL, NULL, NULL, NULL, NULL, NULL)) > 0)
		if (on_unit(name, what, userdata))
			break;
	return MIN(r, 0);
}

int unitask_templates(sd_bus *bus, unitask_fn on_file, void *userdata)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *answer = NULL;
	const char *path, *name;
	int r = new_call(bus, "ListUnitFilesByPatterns", &call);

	if (r >= 0)
		r = sd_bus_message_append(call, "asas", 0, 1, "*@.service");
	if (r >= 0)
		r = ask_list(bus, call, "(ss)", &answer);
	while (r >= 0 && (r = sd_bus_message_read(answer, "(ss)", &path, NULL)) > 0) {
		name = strrchr(path, '/');
		if (on_file(name ? name + 1 : path, "", userdata))
			break;
	}
	return MIN(r, 0);
}

int unitask_containers(sd_bus *bus, unitask_fn on_container, void *userdata)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *answer = NULL;
	const char *name, *class;
	int r = sd_bus_message_new_method_call(bus, &call, MACHINED, MACHINED_PATH,
					       MACHINED ".Manager", "ListMachines");

	if (r >= 0)
		r = ask_list(bus, call, "(ssso)", &answer);
	while (r >= 0 && (r = sd_bus_message_read(answer, "(ssso)", &name, &class, NULL, NULL)) > 0)
		if (!strcmp(class, "container") && on_container(name, "", userdata))
			break;
	return MIN(r, 0);
}
