// SPDX-License-Identifier: GPL-2.0-or-later
/* alias: what start, stop, reload and restart of the plain name do to the slots. systemd restarts a
 * unit by a stop and a start; what is told between the two is that the stop was a part of it. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-login.h>

#include "core/setup/alias.h"
#include "hsctl/direct.h"
#include "hsctl/json.h"
#include "hsctl/setup/alias.h"
#include "hsctl/setup/enable_alias.h"
#include "hsctl/upgrade/upgrade.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "system/configfile.h"
#include "system/machine.h"
#include "system/unit/unitask.h"
#include "system/unit/unitfacts.h"
#include "system/unit/unitload.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

/* As long as systemd itself gives a unit that sets nothing. */
#define JOB_TIME  (10 * 60 * USEC_PER_SEC)
#define PROBATION "10s"

struct slots {
	sd_bus *systemd;
	const char *service;
	struct config config;
};

/* ---- what is left for the other command ---- */

/* The folder is the unit's, which has none as long as it has not been started as an alias. */
static int leave_marker(const char *service, const char *marker)
{
	_cleanup_(freep) char *path = alias_marker(service, marker);
	_cleanup_(freep) char *folder = alias_marker(service, "");
	_cleanup_(close_fdp) int fd = -1;
	int r = path && folder ? make_folders(folder, 0755) : -ENOMEM;

	if (r >= 0) {
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
		r = fd < 0 ? -errno : 0;
	}
	if (r < 0)
		complain("%s: %s", path ?: marker, strerror(-r));
	return r;
}

static bool take_marker(const char *service, const char *marker)
{
	_cleanup_(freep) char *path = alias_marker(service, marker);

	return path && !unlink(path);
}

/* ---- the slots ---- */

static bool is_up(const struct slots *slots, unsigned slot)
{
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};
	char unit[UNIT_NAME_MAX];

	return !name_unit(slots->service, slot, unit, sizeof(unit)) &&
	       units_query(slots->systemd, unit, &facts, NULL) >= 0 && unit_lives(&facts);
}

static unsigned count_up(const struct slots *slots)
{
	unsigned n = 0;

	for (unsigned i = 0; i < slots->config.slots; i++)
		n += is_up(slots, i);
	return n;
}

static int do_job(const struct slots *slots, enum unit_action action, unsigned slot)
{
	struct problem problem = {0};
	char unit[UNIT_NAME_MAX];
	int r = name_unit(slots->service, slot, unit, sizeof(unit));

	if (!r)
		r = units_run_job(slots->systemd, action, unit, JOB_TIME, &problem);
	if (r < 0)
		complain("%s: %s", unit, problem.text);
	return r;
}

/* Those that are down; of an exclusive service one. */
static int start(const struct slots *slots)
{
	unsigned up = count_up(slots);

	for (unsigned i = 0; i < slots->config.slots; i++)
		if (!is_up(slots, i) && !(slots->config.exclusive && up))
			up += do_job(slots, UNIT_START, i) >= 0;
	/* what serves is not called failed for what stands by */
	return up ? EXIT_DONE : EXIT_FAILED;
}

/* The active one last, which clients are at. */
static int stop(const struct slots *slots, unsigned active)
{
	int exit = EXIT_DONE;

	for (unsigned i = 0; i < slots->config.slots; i++)
		if (i != active && is_up(slots, i) && do_job(slots, UNIT_STOP, i) < 0)
			exit = EXIT_FAILED;
	if (active < slots->config.slots && do_job(slots, UNIT_STOP, active) < 0)
		exit = EXIT_FAILED;
	return exit;
}

static int reload_one(const struct slots *slots, unsigned slot)
{
	struct problem problem = {0};
	char unit[UNIT_NAME_MAX];
	int r = name_unit(slots->service, slot, unit, sizeof(unit));

	if (!r)
		r = unitask_reload(slots->systemd, unit, JOB_TIME, &problem);
	if (r < 0)
		complain("%s: %s", unit, problem.text[0] ? problem.text : strerror(-r));
	return r;
}

static int reload(const struct slots *slots)
{
	int exit = EXIT_DONE;

	for (unsigned i = 0; i < slots->config.slots; i++)
		if (is_up(slots, i) && reload_one(slots, i) < 0)
			exit = EXIT_FAILED;
	return exit;
}

/* ---- restart ---- */

static json_object *describe(const struct arguments *arguments)
{
	json_object *status = NULL;
	struct reply reply = {0};
	bool direct;

	if (!verb_describe(arguments, arguments->given[0], &reply, &direct))
		status = json_parse(reply.text);
	reply_done(&reply);
	return status;
}

static unsigned count_ready(json_object *status)
{
	json_object *slots = json_array(status, "slots");
	unsigned n = 0;

	for (size_t i = 0; i < json_count(slots); i++)
		n += !strcmp(json_text(json_object_array_get_idx(slots, i), "state"), "ready");
	return n;
}

/* Where an upgrade is not possible: one after the other, the active one last. */
static int restart_each(const struct slots *slots, unsigned active)
{
	unsigned n = 0;

	for (unsigned i = 0; i < slots->config.slots && !slots->config.exclusive; i++)
		if (i != active)
			n += do_job(slots, UNIT_RESTART, i) >= 0;
	if (active < slots->config.slots)
		n += do_job(slots, UNIT_RESTART, active) >= 0;
	return n ? EXIT_DONE : EXIT_FAILED;
}

static int restart(const struct arguments *arguments, const struct slots *slots)
{
	struct arguments upgrade = *arguments;
	json_object *status;
	unsigned ready;
	int active;

	/* who is down comes up with the new version at once */
	start(slots);
	status = describe(arguments);
	ready = count_ready(status);
	active = (int)json_number(status, "active", HS_SLOT_NONE);
	json_object_put(status);
	if (ready < (slots->config.exclusive ? 1 : slots->config.slots) ||
	    !machine_hsd_runs(slots->systemd))
		return restart_each(slots, active);
	upgrade.texts[TEXT_PROBATION] = PROBATION;
	return upgrade_service(&upgrade, slots->service, NULL);
}

/* ---- the commands ---- */

/* Whether systemd stops the unit that we are run by in order to start it again. */
static bool is_restart(sd_bus *systemd)
{
	_cleanup_(freep) char *unit = NULL, *job = NULL;

	return sd_pid_get_unit(0, &unit) >= 0 && unitask_job(systemd, unit, &job) >= 0 &&
	       (!strcmp(job, "restart") || !strcmp(job, "try-restart"));
}

static int on_stop(const struct arguments *arguments, const struct slots *slots)
{
	json_object *status;
	unsigned active;

	if (take_marker(slots->service, ALIAS_LEAVE))
		return EXIT_DONE;
	if (is_restart(slots->systemd)) {
		leave_marker(slots->service, ALIAS_RESTART);
		return EXIT_DONE;
	}
	status = describe(arguments);
	active = (unsigned)json_number(status, "active", HS_SLOT_NONE);
	json_object_put(status);
	return stop(slots, active);
}

int verb_alias(const struct arguments *arguments)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = direct_systemd();
	struct slots slots = {.systemd = systemd};
	char service[SERVICE_NAME_MAX];
	const char *what = arguments->given[1];

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	slots.service = service;
	if (!systemd || configfile_load(service, &slots.config, NULL) < 0) {
		complain("%s", systemd ? "the service is not enabled, or its settings are wrong"
				       : "systemd cannot be asked; is this a booted system?");
		return EXIT_FAILED;
	}
	if (!strcmp(what, "start"))
		return take_marker(service, ALIAS_RESTART) ? restart(arguments, &slots)
							   : start(&slots);
	if (!strcmp(what, "stop"))
		return on_stop(arguments, &slots);
	if (!strcmp(what, "reload"))
		return reload(&slots);
	complain("\"%.60s\" is none of start, stop and reload", what);
	return EXIT_USAGE;
}

/* Not what somebody has put in its place since. */
static bool is_loaded_alias(const struct unitload *load, const char *service, const char *path)
{
	return unit_state_from_strings(load->active_state, "") == UNIT_RUNNING &&
	       !strcmp(load->fragment, path) &&
	       (access(path, F_OK) < 0 || enable_is_alias_file(path, service));
}

static int let_go(sd_bus *systemd, const char *service, const char *alias, struct problem *problem)
{
	_cleanup_(unitload_done) struct unitload load = {0};
	_cleanup_(freep) char *path = alias_path(alias, "");
	int r;

	if (!path || unitload(systemd, alias, &load, NULL) < 0 ||
	    !is_loaded_alias(&load, service, path))
		return 0;
	r = leave_marker(service, ALIAS_LEAVE);
	if (r < 0)
		return problem_set(problem, r, "%s cannot be stopped without the slots", alias);
	return units_run_job(systemd, UNIT_STOP, alias, JOB_TIME, problem);
}

int alias_let_go(sd_bus *systemd, const char *service, struct problem *problem)
{
	_cleanup_(strings_freep) char **aliases = NULL;
	int r = enable_aliases(service, &aliases);

	if (r < 0)
		return problem_set(problem, r, "%s", strerror(-r));
	for (char **p = aliases; r >= 0 && p && *p; p++)
		r = let_go(systemd, service, *p, problem);
	return r;
}
