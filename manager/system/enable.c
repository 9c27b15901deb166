/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "system/enable.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "core/dropin.h"
#include "core/path.h"
#include "system/configfile.h"
#include "system/enable_alias.h"
#include "system/intakefind.h"
#include "system/pathdetect.h"
#include "system/unitload.h"
#include "util/files.h"
#include "util/strings.h"

struct enable_plan *enable_plan_free(struct enable_plan *plan)
{
	if (!plan)
		return NULL;
	filechanges_done(&plan->changes);
	strings_free(plan->sockets);
	commands_done(&plan->commands);
	strings_free(plan->texts);
	free(plan->kept_config);
	free(plan->old_config);
	for (size_t i = 0; i < plan->n_units; i++)
		unitfile_done(&plan->units[i]);
	free(plan);
	return NULL;
}

static int no_memory(struct problem *problem)
{
	return problem_set(problem, -ENOMEM, "Out of memory.");
}

/* Keeps a copy of a text for as long as the plan lives: findings point to it. NULL stays NULL. */
static const char *keep(struct enable_plan *plan, const char *text)
{
	if (!text || !*text || strings_add(&plan->texts, text) < 0)
		return NULL;
	return plan->texts[strings_count(plan->texts) - 1];
}

/* ---- one unit ---- */

static enum lint_load load_of(const struct unitload *load, const char *unit)
{
	if (strcmp(load->load_state, "not-found") == 0)
		return LINT_NOT_FOUND;
	if (strcmp(load->load_state, "masked") == 0)
		return LINT_MASKED;
	if (strcmp(load->load_state, "loaded") != 0 || !*load->fragment)
		return LINT_BROKEN;
	return strcmp(load->id, unit) == 0 ? LINT_OK : LINT_OTHER_NAME;
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
		return no_memory(problem);
	r = unitfile_read(paths, unit, problem);
	if (r < 0)
		return r;
	plan->n_units++;

	*ret = (struct lint_unit) {
		.name = keep(plan, load->id),
		.fragment = unit->paths[0],
		.settings = unitfile_settings(unit),
	};
	return ret->name ? 0 : no_memory(problem);
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
		.file = keep(plan, load->fragment),
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
		.file = keep(plan, load->fragment),
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
			return no_memory(problem);
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
	state = load_of(&load, socket);
	if (state == LINT_NOT_FOUND || state == LINT_MASKED || state == LINT_OTHER_NAME)
		return 0;
	if (state == LINT_BROKEN) {
		lint_load(&plan->report, state, socket, keep(plan, load.fragment),
			  keep(plan, load.load_error));
		return 0;
	}
	/* with Accept=yes it names no service, and is refused for that */
	if (load.triggers && !strings_contain(load.triggers, service)) {
		add_stranger(plan, &load);
		return 0;
	}
	plan->needs_reload |= load.need_reload;
	r = strings_add(names, socket);
	return r < 0 ? no_memory(problem) : 0;
}

static bool is_socket(const char *unit)
{
	const char *dot = strrchr(unit, '.');

	return dot && strcmp(dot, ".socket") == 0;
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
		if (is_socket(*p) && !strings_contain(*names, *p))
			r = strings_add(names, *p);
	unitload_done(&load);

	for (char **p = *names; r >= 0 && p && *p; p++) {
		r = unitload(bus, *p, &load, problem);
		if (r < 0)
			return r;
		r = add_socket(plan, &load, slot, problem);
		unitload_done(&load);
	}
	return r == -ENOMEM ? no_memory(problem) : r;
}

/* ---- the service of one slot ---- */

/* The template of which `unit` is an instance, for a message; the unit itself if it is none. */
static const char *template_name(struct enable_plan *plan, const char *unit)
{
	_cleanup_(freep) char *template = NULL;
	char service[SERVICE_NAME_MAX];
	unsigned slot;

	if (name_from_unit(unit, service, &slot) < 0)
		return keep(plan, unit);
	template = format("%s@.service", service);
	return keep(plan, template);
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
		return no_memory(problem);
	if (state == LINT_OTHER_NAME) {
		lint_load(&plan->report, state, template, NULL, template_name(plan, load->id));
		return 0;
	}
	if (state != LINT_NOT_FOUND) {
		/* it can be the file of one instance alone */
		const char *name = strrchr(load->fragment, '/');

		lint_load(&plan->report, state, name ? name + 1 : template,
			  keep(plan, load->fragment), keep(plan, load->load_error));
		return 0;
	}
	/* is there a unit of that name that is no template? */
	r = unitload(bus, plain, &other, problem);
	if (r < 0)
		return r;
	if (strcmp(other.load_state, "loaded") == 0)
		state = LINT_PLAIN;
	lint_load(&plan->report, state, template, keep(plan, other.fragment), NULL);
	return 0;
}

/* A socket unit without instances may start an instance of the template for each connection. */
static int check_per_connection(sd_bus *bus, struct enable_plan *plan, struct problem *problem)
{
	_cleanup_(freep) char *socket = format("%s.socket", plan->service);
	_cleanup_(unitload_done) struct unitload load = {};
	struct lint_unit unit;
	int r;

	if (!socket)
		return no_memory(problem);
	r = unitload(bus, socket, &load, problem);
	if (r < 0 || load_of(&load, socket) != LINT_OK)
		return r;
	r = read_unit(plan, &load, &unit, problem);
	if (r >= 0)
		lint_per_connection(&plan->report, &unit);
	return r;
}

/* All slots share the drop-in of the template, which repeats their commands: they must be the same.
 */
static int compare_commands(struct enable_plan *plan, const struct lint_unit *unit, bool first)
{
	_cleanup_(commands_done) struct commands own = {0};
	struct shared shared = {0};
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

	shared_look(&shared, unit, 0);
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

/* Looks at one slot. */
static int add_slot(sd_bus *bus, struct enable_plan *plan, unsigned slot, struct problem *problem)
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
	state = load_of(&load, name);
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
	lint_service(&plan->report, &unit, (const char *const *)sockets);
	shared_look(&plan->shared, &unit, slot);
	if (slot + 1 == plan->config.slots)
		shared_lint(&plan->shared, &plan->report, &unit);
	plan->own_network |= !sockets && lint_has_own_network(&unit, &line);
	if (!slot)
		plan->unit = unit;
	r = compare_commands(plan, &unit, slot == 0);
	return r < 0 ? no_memory(problem) : 0;
}

/* ---- the whole service ---- */

/* Looks at the configuration that is there, and says so if hsd would refuse it. */
static int check_config(struct enable_plan *plan, struct problem *problem)
{
	_cleanup_(freep) char *path = configfile_path(plan->service, "");
	_cleanup_(freep) char *old = configfile_path(plan->service, ".disabled");
	struct lint_finding finding = {.refuses = true};
	struct problem reason = {};
	struct config config;
	struct stat st;
	int r;

	if (!path || !old)
		return no_memory(problem);
	r = configfile_load(plan->service, &config, &reason);
	if (r < 0)
		config_init(&config);
	plan->config = config;
	if (r == -ENOENT && configfile_is_masked(path)) {
		finding.why = "The configuration is masked by a link to /dev/null";
		snprintf(finding.what, sizeof(finding.what), "%s", path);
		snprintf(finding.remedy, sizeof(finding.remedy), "Remove the link");
		lint_add(&plan->report, &finding);
	} else if (r < 0 && r != -ENOENT) {
		finding.why = keep(plan, reason.text);
		snprintf(finding.what, sizeof(finding.what), "The configuration is wrong");
		snprintf(finding.remedy, sizeof(finding.remedy), "Correct it first");
		lint_add(&plan->report, &finding);
	}
	if (lstat(path, &st) == 0)
		plan->kept_config = steal_ptr(&path);
	else if (lstat(old, &st) == 0)
		plan->old_config = steal_ptr(&old);
	return 0;
}

/* What is wrong with a unit that OnDemote= or OnPromote= has started; NULL = nothing. */
static const char *fault_of(sd_bus *bus, const char *unit, const char *own, struct problem *problem)
{
	_cleanup_(unitload_done) struct unitload load = {};
	enum lint_load state;

	if (!strcmp(unit, own))
		return "It is the unit of the slot itself";
	if (unitload(bus, unit, &load, problem) < 0)
		return problem->text;
	state = load_of(&load, unit);
	return state == LINT_NOT_FOUND ? "There is no such unit"
	       : state == LINT_MASKED  ? "The unit is masked"
	       : state == LINT_BROKEN  ? "systemd cannot read the unit"
				       : NULL;
}

static void check_role(sd_bus *bus, struct enable_plan *plan, unsigned slot, enum role_change role)
{
	const struct role_action *action = &plan->config.roles[role];
	struct lint_finding finding = {.refuses = true, .file = plan->kept_config};
	char unit[UNIT_NAME_MAX], own[UNIT_NAME_MAX] = "";
	struct problem problem = {};

	if (action->means != ROLE_BY_UNIT)
		return;
	strcpy(unit, action->unit);
	(void)name_unit(plan->service, slot, own, sizeof(own));
	if (role_unit(action, plan->service, slot, unit) < 0)
		finding.why = "With the name of the service it is no name of a unit";
	else
		finding.why = keep(plan, fault_of(bus, unit, own, &problem));
	if (!finding.why)
		return;
	snprintf(finding.what, sizeof(finding.what), "%s=%s%s%s", role_key(role), action->unit,
		 strcmp(unit, action->unit) ? ": " : "", strcmp(unit, action->unit) ? unit : "");
	snprintf(finding.remedy, sizeof(finding.remedy), "Make the unit, or correct the setting");
	lint_add(&plan->report, &finding);
}

/* Units are looked for as long as the settings are good: the defaults name none. */
static void check_roles(sd_bus *bus, struct enable_plan *plan)
{
	for (unsigned slot = 0; slot < plan->config.slots; slot++)
		for (unsigned i = 0; i < ROLE_CHANGES; i++)
			check_role(bus, plan, slot, i);
}

static void add_no_socket_unit(struct enable_plan *plan)
{
	struct lint_finding finding = {
		.refuses = true,
		.file = plan->kept_config,
		.what = "Intake=socket",
		.why = "There is no socket unit that starts the instances",
	};

	snprintf(finding.remedy, sizeof(finding.remedy),
		 "Make one with the name of the service and @.socket, or remove the line");
	lint_add(&plan->report, &finding);
}

/* A guess at the worst: what is wrong shows when the server has bound its sockets. */
static void find_intake(sd_bus *bus, struct enable_plan *plan)
{
	plan->intake.wanted = plan->config.intake;
	plan->intake.socket_units = plan->sockets != NULL;
	if (plan->intake.wanted == INTAKE_SOCKET && !plan->sockets)
		add_no_socket_unit(plan);
	for (unsigned slot = 0; slot < plan->config.slots; slot++)
		if (plan->running & (1U << slot))
			intakefind_slot(bus, plan->service, slot, &plan->config, &plan->intake);
}

/* ---- paths ---- */

static void add_path_finding(struct enable_plan *plan, const char *path, bool refuses,
			     const char *why, const char *remedy)
{
	struct lint_finding finding = {.refuses = refuses, .why = why};

	snprintf(finding.what, sizeof(finding.what), "%s", path);
	snprintf(finding.remedy, sizeof(finding.remedy), "%s", remedy);
	lint_add(&plan->report, &finding);
}

/* `meant`: somebody has named it; else it was found. */
static void take_own_path(struct enable_plan *plan, const char *path, bool meant)
{
	const char *why = path_shared_folder(path);
	const struct assignment *line;
	char other[NAME_MAX + 1];

	if (lint_hides_paths(&plan->unit, &line)) {
		lint_line(&plan->report, meant, line, lint_hides_paths(&plan->unit, &line),
			  "Let a socket unit make the socket; what the server binds itself at a "
			  "path is not switched");
		return;
	}

	if (plan->config.exclusive && !meant) {
		add_path_finding(plan, path, false,
				 "With Exclusive=yes clients wait in the park meanwhile, and there "
				 "is none for AF_UNIX sockets, so this one is not switched",
				 "Expect to lose what arrives here while its instance restarts");
		return;
	}
	if (why) {
		add_path_finding(
			plan, path, meant, why,
			"Let the server listen in a folder of its own, as "
			"/run/NAME/NAME.sock is in /run/NAME; until then both slots bind the "
			"same path, and who stops may remove it under the other");
		return;
	}
	if (pathdetect_other_file(path, other)) {
		add_path_finding(
			plan, path, false,
			"There are other files in its folder, which the slots will not see, "
			"for each has a folder of its own in its place",
			"If the server needs them, let it listen in a folder that has only "
			"the socket, and then name that: hsctl enable --path=");
		if (!meant)
			return;
	}
	pathlist_add(&plan->own_paths, path);
	pathlist_add(&plan->paths, path);
}

/* What a socket unit makes is not the server's to bind. */
static void take_own_paths(struct enable_plan *plan, const struct pathlist *list, bool meant)
{
	for (unsigned i = 0; i < list->n; i++)
		if (!pathlist_has(&plan->paths, list->paths[i]))
			take_own_path(plan, list->paths[i], meant);
}

static int split_paths(const char *text, struct pathlist *list, struct problem *problem)
{
	struct problem why;

	for (const char *p = text; *p; p += *p == ',') {
		_cleanup_(freep) char *path = format("%.*s", (int)strcspn(p, ","), p);

		if (!path)
			return no_memory(problem);
		if (path_check(path, &why) < 0)
			return problem_set(problem, -EINVAL, "--path=%s %s", path, why.text);
		pathlist_add(list, path);
		p += strcspn(p, ",");
	}
	return 0;
}

static void refuse_exclusive(struct enable_plan *plan)
{
	if (plan->paths.n && plan->config.exclusive)
		add_path_finding(plan, "Exclusive=yes", true,
				 "Such a service is switched through the park, where clients wait, "
				 "and there is none for AF_UNIX sockets",
				 "Remove the line, or let the server listen by TCP");
}

/* The socket units' first; then what somebody has named, or else what can be found. */
static int find_paths(sd_bus *bus, struct enable_plan *plan, const char *named,
		      struct problem *problem)
{
	struct pathlist list = {0};
	int r = named ? split_paths(named, &list, problem) : 0;

	if (r < 0)
		return r;
	for (size_t i = 0; i < strings_count(plan->sockets); i++)
		dropin_socket_paths(&plan->socket_units[i].settings, &plan->paths);
	for (unsigned i = 0; !named && i < plan->config.n_paths; i++)
		pathlist_add(&list, plan->config.paths[i]);
	take_own_paths(plan, &list, true);
	if (!named) {
		struct pathlist found = {0};

		pathdetect_unit(&plan->unit, plan->service, &found);
		pathdetect_running(bus, plan->service, plan->config.slots, &found);
		take_own_paths(plan, &found, false);
	}
	refuse_exclusive(plan);
	return 0;
}

static int plan_changes(struct enable_plan *plan, struct problem *problem)
{
	_cleanup_(freep) char *template = format("%s@.service", plan->service);
	struct dropin dropin = {
		.service = plan->service,
		.sockets = plan->sockets,
		.commands = &plan->commands,
		.shares_pid_file = plan->shared.pid_file,
		.shares_runtime = plan->shared.runtime_directory,
		.has_paths = plan->paths.n > 0,
		.paths = &plan->own_paths,
		.joined = plan->own_network ? plan->config.slots : 0,
		.alias = plan->alias[0] ? plan->alias : NULL,
	};
	int r = 0;

	if (!template)
		return no_memory(problem);
	if (!plan->kept_config)
		r = filechanges_write(&plan->changes, configfile_path(plan->service, ""),
				      dropin_config_text(plan->service), problem);
	if (r >= 0 && plan->paths.n)
		r = filechanges_write(&plan->changes,
				      configfile_path(plan->service, ".d/" DROPIN_PATHS),
				      dropin_paths_text(plan->service, &plan->paths), problem);
	if (r >= 0)
		r = filechanges_write(&plan->changes, dropin_path(template),
				      dropin_service_text(&dropin), problem);
	for (size_t i = 0; r >= 0 && i < strings_count(plan->sockets); i++)
		r = filechanges_write(
			&plan->changes, dropin_path(plan->sockets[i]),
			dropin_socket_text(plan->service, &plan->socket_units[i].settings),
			problem);
	return r;
}

/* Looks at everything, so that all findings are there at once, and then plans. */
static int make_plan(sd_bus *bus, struct enable_plan *plan, const char *paths,
		     struct problem *problem)
{
	int r;

	r = check_config(plan, problem);
	if (r >= 0)
		check_roles(bus, plan);
	for (unsigned slot = 0; r >= 0 && slot < plan->config.slots; slot++)
		r = add_slot(bus, plan, slot, problem);
	if (r >= 0)
		r = check_per_connection(bus, plan, problem);
	if (r >= 0 && !plan->report.refused)
		find_intake(bus, plan);
	if (r >= 0 && !plan->report.refused)
		r = find_paths(bus, plan, paths, problem);
	if (r >= 0 && !plan->report.refused)
		r = enable_plan_alias(bus, plan, problem);
	if (r >= 0 && !plan->report.refused)
		r = plan_changes(plan, problem);
	return r;
}

int enable_plan_new(sd_bus *bus, const char *text, const struct enable_wish *wish,
		    struct enable_plan **ret_plan, struct problem *problem)
{
	_cleanup_(enable_plan_freep) struct enable_plan *plan = calloc(1, sizeof(*plan));
	int r = 0;

	if (!plan)
		return no_memory(problem);
	if (lint_name(&plan->report, text)) {
		(void)name_from_template(text, plan->service);
		enable_set_alias(plan, wish ? wish->alias : NULL);
		r = make_plan(bus, plan, wish ? wish->paths : NULL, problem);
	}
	if (r < 0)
		return r;
	*ret_plan = steal_ptr(&plan);
	return 0;
}

bool enable_is_done(const struct enable_plan *plan)
{
	return !plan->report.refused && filechanges_pending(&plan->changes) == 0 &&
	       !plan->needs_reload;
}

int enable_apply(sd_bus *bus, struct enable_plan *plan, struct problem *problem)
{
	if (plan->report.refused)
		return problem_set(problem, -EINVAL, "This unit cannot be put under hotstandby.");
	return enable_is_done(plan) ? 0 : unitload_apply(bus, &plan->changes, problem);
}
