// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/enable_steps.h"

#include <string.h>

#include "core/setup/collector.h"
#include "core/setup/dropin.h"
#include "system/unit/units.h"
#include "util/files.h"
#include "util/strings.h"

/* ---- one unit ---- */

enum lint_load enable_load_of(const struct unitload *load, const char *unit)
{
	if (!strcmp(load->load_state, "not-found"))
		return LINT_NOT_FOUND;
	if (!strcmp(load->load_state, "masked"))
		return LINT_MASKED;
	if (strcmp(load->load_state, "loaded") != 0 || !*load->fragment)
		return LINT_BROKEN;
	return !strcmp(load->id, unit) ? LINT_OK : LINT_OTHER_NAME;
}

/* Reads the files of a loaded unit; the plan owns what was read. */
static int read_unit(struct enable_plan *plan, const struct unitload *load, struct lint_unit *ret,
		     struct problem *problem)
{
	_cleanup_(strings_freep) char **paths = NULL;
	struct unitfile *unit = &plan->units[plan->n_units];
	int r;

	if (plan->n_units == ENABLE_UNITS_MAX)
		return problem_set(problem, -EFBIG, "The service has too many socket units.");
	r = strings_add(&paths, load->fragment);
	for (char **p = load->drop_ins; r >= 0 && p && *p; p++)
		if (!dropin_is_ours(*p))
			r = strings_add(&paths, *p);
	if (r < 0)
		return enable_no_memory(problem);
	r = unitfile_read(paths, unit, problem);
	if (r < 0)
		return r;
	plan->n_units++;

	*ret = (struct lint_unit) {
		.name = enable_keep(plan, load->id),
		.fragment = unit->paths[0],
		.settings = unitfile_settings(unit),
	};
	return ret->name ? 0 : enable_no_memory(problem);
}

/* ---- socket units of one slot ---- */

/* "app@0.socket" of slot 0 -> "app@.socket". NULL = this is not the socket unit of the same slot of
 * another template, or no memory. Free it. */
static char *template_of(const char *socket, unsigned slot)
{
	_cleanup_(freep) char *tail = format("@%u.socket", slot);
	const char *at = strchr(socket, '@');
	size_t length = at ? (size_t)(at - socket) : 0;

	if (!tail || !at || strcmp(at, tail) != 0)
		return NULL;
	return format("%.*s@.socket", (int)length, socket);
}

/* A socket unit that starts this slot but is no instance of the same number. */
static void add_shared(struct enable_plan *plan, const struct unitload *load)
{
	struct lint_finding finding = {
		.refuses = true,
		.file = enable_keep(plan, load->fragment),
		.why = "This socket unit can start one slot only, and each slot needs a listener "
		       "of its own for the same address",
	};

	snprintf(finding.what, sizeof(finding.what), "%s", load->id);
	snprintf(finding.remedy, sizeof(finding.remedy),
		 "Make a template of it with the name of the service and @.socket, with "
		 "ReusePort=yes");
	lint_add(&plan->report, &finding);
}

/* A socket unit by the name of the service that starts something else. */
static void add_stranger(struct enable_plan *plan, const struct unitload *load)
{
	struct lint_finding finding = {
		.file = enable_keep(plan, load->fragment),
		.why = "In spite of its name this socket unit starts another service, so it is "
		       "left alone",
		.remedy = "Remove its Service= if it is meant for this one",
	};

	snprintf(finding.what, sizeof(finding.what), "%s@.socket", plan->service);
	lint_add(&plan->report, &finding);
}

/* Looks at a socket unit that starts `service`. */
static int add_socket(struct enable_plan *plan, const struct unitload *load, unsigned slot,
		      struct problem *problem)
{
	_cleanup_(freep) char *template = NULL;
	char service[UNIT_NAME_MAX];
	struct lint_unit unit;
	int r;

	(void)name_unit(plan->service, slot, service, sizeof(service));
	template = template_of(load->id, slot);
	if (!template) {
		add_shared(plan, load);
		return 0;
	}
	r = read_unit(plan, load, &unit, problem);
	if (r < 0)
		return r;
	if (!strings_contain(plan->sockets, template)) {
		plan->socket_units[strings_count(plan->sockets)] = unit;
		if (strings_add(&plan->sockets, template) < 0)
			return enable_no_memory(problem);
	}
	lint_socket(&plan->report, &unit, service);
	return 0;
}

/* The socket unit of the service's own name. systemd knows others only once they are loaded, this
 * one can be asked for. */
static int find_namesake(sd_bus *bus, struct enable_plan *plan, unsigned slot, char ***names,
			 struct problem *problem)
{
	_cleanup_(unitload_done) struct unitload load = {};
	char socket[UNIT_NAME_MAX], service[UNIT_NAME_MAX];
	enum lint_load state;
	int r;

	(void)name_socket_unit(plan->service, slot, socket, sizeof(socket));
	(void)name_unit(plan->service, slot, service, sizeof(service));
	r = unitload(bus, socket, &load, problem);
	if (r < 0)
		return r;
	state = enable_load_of(&load, socket);
	if (state == LINT_NOT_FOUND || state == LINT_MASKED || state == LINT_OTHER_NAME)
		return 0;
	if (state == LINT_BROKEN) {
		lint_load(&plan->report, state, socket, enable_keep(plan, load.fragment),
			  enable_keep(plan, load.load_error));
		return 0;
	}
	/* with Accept=yes it names no service, and is refused for that */
	if (load.triggers && !strings_contain(load.triggers, service)) {
		add_stranger(plan, &load);
		return 0;
	}
	plan->needs_reload |= load.need_reload;
	r = strings_add(names, socket);
	return r < 0 ? enable_no_memory(problem) : 0;
}

/* Finds the socket units of the slot and looks at each. */
static int add_sockets(sd_bus *bus, struct enable_plan *plan, unsigned slot, char ***names,
		       struct problem *problem)
{
	char service[UNIT_NAME_MAX];
	struct unitload load;
	int r;

	(void)name_unit(plan->service, slot, service, sizeof(service));
	r = find_namesake(bus, plan, slot, names, problem);
	if (r < 0)
		return r;
	r = unitload(bus, service, &load, problem);
	if (r < 0)
		return r;
	for (char **p = load.triggered_by; r >= 0 && p && *p; p++)
		if (unit_is_socket(*p) && !strings_contain(*names, *p))
			r = strings_add(names, *p);
	unitload_done(&load);

	for (char **p = *names; r >= 0 && p && *p; p++) {
		r = unitload(bus, *p, &load, problem);
		if (r < 0)
			return r;
		r = add_socket(plan, &load, slot, problem);
		unitload_done(&load);
	}
	return r == -ENOMEM ? enable_no_memory(problem) : r;
}

/* ---- the service of one slot ---- */

/* The template of which `unit` is an instance, for a message; the unit itself if it is none. */
static const char *template_name(struct enable_plan *plan, const char *unit)
{
	_cleanup_(freep) char *template = NULL;
	char service[SERVICE_NAME_MAX];
	unsigned slot;

	if (name_from_unit(unit, service, &slot) < 0)
		return enable_keep(plan, unit);
	template = format("%s@.service", service);
	return enable_keep(plan, template);
}

/* The template cannot be used: says why. */
static int add_unloadable(sd_bus *bus, struct enable_plan *plan, enum lint_load state,
			  const struct unitload *load, struct problem *problem)
{
	_cleanup_(freep) char *template = format("%s@.service", plan->service);
	_cleanup_(freep) char *plain = format("%s.service", plan->service);
	_cleanup_(unitload_done) struct unitload other = {};
	int r;

	if (!template || !plain)
		return enable_no_memory(problem);
	if (state == LINT_OTHER_NAME) {
		lint_load(&plan->report, state, template, NULL, template_name(plan, load->id));
		return 0;
	}
	if (state != LINT_NOT_FOUND) {
		/* it can be the file of one instance alone */
		const char *name = strrchr(load->fragment, '/');

		lint_load(&plan->report, state, name ? name + 1 : template,
			  enable_keep(plan, load->fragment), enable_keep(plan, load->load_error));
		return 0;
	}
	/* is there a unit of that name that is no template? */
	r = unitload(bus, plain, &other, problem);
	if (r < 0)
		return r;
	if (!strcmp(other.load_state, "loaded"))
		state = LINT_PLAIN;
	lint_load(&plan->report, state, template, enable_keep(plan, other.fragment), NULL);
	return 0;
}

/* All slots share the drop-in of the template, which repeats their commands: they must be the same.
 */
static int compare_commands(struct enable_plan *plan, const struct lint_unit *unit, bool first)
{
	_cleanup_(commands_done) struct commands own = {0};
	_cleanup_(shared_done) struct shared shared = {0};
	struct lint_finding finding = {
		.refuses = true,
		.file = unit->fragment,
		.why = "The slots have different ExecStop= lines, or others that reach whichever "
		       "slot they find first, and what hotstandby adds to the template has to "
		       "repeat or replace them",
		.remedy = "Set ExecStop= and the like in the template or a drop-in of it, not for "
			  "one instance",
	};
	int r;

	r = shared_look(&shared, unit, 0);
	if (r >= 0)
		r = commands_read(&own, unit, shared.pid_file);
	if (r < 0)
		return r;
	if (first) {
		plan->commands = own;
		own = (struct commands) {0};
	} else if (!commands_fit(&own, &plan->commands)) {
		snprintf(finding.what, sizeof(finding.what), "%s", unit->name);
		lint_add(&plan->report, &finding);
	} else {
		commands_share(&plan->commands, &own);
	}
	return 0;
}

int enable_add_slot(sd_bus *bus, struct enable_plan *plan, unsigned slot, struct problem *problem)
{
	_cleanup_(unitload_done) struct unitload load = {};
	_cleanup_(strings_freep) char **sockets = NULL;
	char name[UNIT_NAME_MAX];
	const struct assignment *line;
	struct lint_unit unit;
	enum lint_load state;
	int r;

	(void)name_unit(plan->service, slot, name, sizeof(name));
	r = unitload(bus, name, &load, problem);
	if (r < 0)
		return r;
	state = enable_load_of(&load, name);
	if (state != LINT_OK)
		return add_unloadable(bus, plan, state, &load, problem);
	if (strcmp(load.active_state, "inactive") != 0 && strcmp(load.active_state, "failed") != 0)
		plan->running |= 1U << slot;
	plan->needs_reload |= load.need_reload;

	r = add_sockets(bus, plan, slot, &sockets, problem);
	if (r < 0)
		return r;
	r = read_unit(plan, &load, &unit, problem);
	if (r < 0)
		return r;
	unit.stopped_by = load.stopped_by;
	unit.excludes = load.excludes;
	lint_service(&plan->report, &unit, (const char *const *)sockets);
	if (plan->alias[0])
		lint_plain(&plan->report, &unit, plan->alias);
	if (plan->from)
		lint_plain(&plan->report, &unit, plan->from);
	collector_lint(&plan->report, &unit, &plan->config);
	if (shared_look(&plan->shared, &unit, slot) < 0)
		return enable_no_memory(problem);
	if (slot + 1 == plan->config.slots)
		shared_lint(&plan->shared, &plan->report, &unit);
	plan->own_network |= !sockets && lint_has_own_network(&unit, &line);
	if (!slot)
		plan->unit = unit;
	r = compare_commands(plan, &unit, slot == 0);
	return r < 0 ? enable_no_memory(problem) : 0;
}

/* ---- of all slots ---- */

int enable_check_per_connection(sd_bus *bus, struct enable_plan *plan, struct problem *problem)
{
	_cleanup_(freep) char *socket = format("%s.socket", plan->service);
	_cleanup_(unitload_done) struct unitload load = {};
	struct lint_unit unit;
	int r;

	if (!socket)
		return enable_no_memory(problem);
	r = unitload(bus, socket, &load, problem);
	if (r < 0 || enable_load_of(&load, socket) != LINT_OK)
		return r;
	r = read_unit(plan, &load, &unit, problem);
	if (r >= 0)
		lint_per_connection(&plan->report, &unit);
	return r;
}
