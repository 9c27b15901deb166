// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/enable.h"

#include <string.h>
#include <sys/stat.h>

#include "core/setup/dropin.h"
#include "hsctl/setup/enable_alias.h"
#include "hsctl/setup/enable_steps.h"
#include "hsctl/setup/intakefind.h"
#include "hsctl/unit/unitapply.h"
#include "plane/selftest/selftest_fast.h"
#include "system/configfile.h"
#include "util/files.h"
#include "util/strings.h"

struct enable_plan *enable_plan_free(struct enable_plan *plan)
{
	if (!plan)
		return NULL;
	filechanges_done(&plan->changes);
	strings_free(plan->sockets);
	commands_done(&plan->commands);
	shared_done(&plan->shared);
	strings_free(plan->texts);
	free(plan->kept_config);
	free(plan->old_config);
	for (size_t i = 0; i < plan->n_units; i++)
		unitfile_done(&plan->units[i]);
	free(plan);
	return NULL;
}

/* ---- the configuration ---- */

/* There is no unit of it, and nothing of it is enabled. */
static void refuse_front(struct enable_plan *plan, const char *path)
{
	struct lint_finding finding = {
		.refuses = true,
		.file = enable_keep(plan, path),
		.what = "Address= and Host= in [Front]",
		.why = "Its slots are hosts, which no unit of this machine is",
	};

	snprintf(finding.remedy, sizeof(finding.remedy),
		 "Give the instances another name; a front needs systemctl reload hsd, no more");
	lint_add(&plan->report, &finding);
}

/* What hsd would refuse as well. */
static void check_fastpath(struct enable_plan *plan, const char *path)
{
	struct lint_finding finding = {
		.refuses = true,
		.file = enable_keep(plan, path),
		.what = "From= in [FastPath]",
	};
	struct problem sentence = {};

	if (!selftest_fast_refuses(&sentence))
		return;
	finding.why = enable_keep(plan, sentence.text);
	snprintf(finding.remedy, sizeof(finding.remedy),
		 "Take From= out; hsctl doctor --fastpath says more");
	lint_add(&plan->report, &finding);
}

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
		return enable_no_memory(problem);
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
		finding.why = enable_keep(plan, reason.text);
		snprintf(finding.what, sizeof(finding.what), "The configuration is wrong");
		snprintf(finding.remedy, sizeof(finding.remedy), "Correct it first");
		lint_add(&plan->report, &finding);
	} else if (!r && config_is_front(&config.front)) {
		refuse_front(plan, path);
	} else if (!r && config.fastpath.n_units) {
		check_fastpath(plan, path);
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
	state = enable_load_of(&load, unit);
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
		finding.why = enable_keep(plan, fault_of(bus, unit, own, &problem));
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

/* ---- the plan ---- */

static int plan_changes(struct enable_plan *plan, struct problem *problem)
{
	_cleanup_(freep) char *template = format("%s@.service", plan->service);
	struct dropin dropin = {
		.service = plan->service,
		.sockets = plan->sockets,
		.commands = &plan->commands,
		.shares_pid_file = plan->shared.pid_file,
		.shares_runtime = strings_count(plan->shared.runtime_directories),
		.has_paths = plan->paths.n > 0,
		.paths = &plan->own_paths,
		.joined = plan->own_network ? plan->config.slots : 0,
		.alias = plan->alias[0] ? plan->alias : NULL,
	};
	int r = 0;

	if (!template)
		return enable_no_memory(problem);
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
		r = enable_add_slot(bus, plan, slot, problem);
	if (r >= 0)
		r = enable_check_per_connection(bus, plan, problem);
	if (r >= 0 && !plan->report.refused)
		find_intake(bus, plan);
	if (r >= 0 && !plan->report.refused)
		r = enable_find_paths(bus, plan, paths, problem);
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
		return enable_no_memory(problem);
	if (lint_name(&plan->report, text)) {
		(void)name_from_template(text, plan->service);
		enable_set_alias(plan, wish ? wish->alias : NULL);
		plan->from = wish ? wish->from : NULL;
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
	return enable_is_done(plan) ? 0 : unitapply(bus, &plan->changes, problem);
}

bool enable_is_first(const struct enable_plan *plan)
{
	_cleanup_(freep) char *template = format("%s@.service", plan->service);
	_cleanup_(freep) char *path = template ? dropin_path(template) : NULL;

	for (size_t i = 0; path && i < plan->changes.n; i++)
		if (!strcmp(plan->changes.items[i].path, path))
			return !plan->changes.items[i].before;
	return false;
}
