// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/enable_alias.h"

#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include "core/setup/alias.h"
#include "core/setup/dropin.h"
#include "hsctl/setup/enable_steps.h"
#include "system/unit/unitask.h"
#include "util/files.h"
#include "util/strings.h"

#define ALIAS_SIZE_MAX (1024 * 1024)

#define WHY_OTHER "One name stands for the slots, and there is one"

char *enable_alias(const char *service)
{
	_cleanup_(freep) char *template = format("%s@.service", service), *text = NULL;
	_cleanup_(freep) char *path = template ? dropin_path(template) : NULL;

	if (!path || file_read(path, ALIAS_SIZE_MAX, &text) < 0)
		return NULL;
	return dropin_alias(text);
}

bool enable_is_alias_file(const char *path, const char *service)
{
	_cleanup_(freep) char *text = NULL;

	return file_read(path, ALIAS_SIZE_MAX, &text) >= 0 && alias_is_ours(text, service);
}

/* A link is another name that somebody has given it, and theirs. */
static bool is_own_file(const char *path, const char *service)
{
	struct stat st;

	return !lstat(path, &st) && S_ISREG(st.st_mode) && enable_is_alias_file(path, service);
}

static int add_files(const char *service, const char *pattern, char ***aliases)
{
	glob_t files;
	int r = 0;

	if (glob(pattern, 0, NULL, &files))
		return 0;
	for (size_t i = 0; r >= 0 && i < files.gl_pathc; i++) {
		const char *path = files.gl_pathv[i], *name = strrchr(path, '/') + 1;

		if (alias_is_possible(name) && !strings_contain(*aliases, name) &&
		    is_own_file(path, service))
			r = strings_add(aliases, name);
	}
	globfree(&files);
	return r;
}

int enable_aliases(const char *service, char ***ret_aliases)
{
	_cleanup_(freep) char *named = enable_alias(service), *pattern = alias_path("*", "");
	_cleanup_(strings_freep) char **aliases = NULL;
	int r = named ? strings_add(&aliases, named) : 0;

	if (r >= 0)
		r = pattern ? add_files(service, pattern, &aliases) : -ENOMEM;
	if (r < 0)
		return r;
	*ret_aliases = steal_ptr(&aliases);
	return 0;
}

static void refuse_alias(struct enable_plan *plan, const char *file, const char *why,
			 const char *remedy)
{
	struct lint_finding finding = {
		.refuses = true, .file = enable_keep(plan, file), .why = why};

	snprintf(finding.what, sizeof(finding.what), "%s", plan->alias);
	snprintf(finding.remedy, sizeof(finding.remedy), "%s", remedy);
	lint_add(&plan->report, &finding);
}

/* A second one would know nothing of what is done by the first. */
static void check_other(struct enable_plan *plan)
{
	_cleanup_(freep) char *other = enable_alias(plan->service);
	_cleanup_(freep) char *path = other ? alias_path(other, "") : NULL;
	char remedy[2 * UNIT_NAME_MAX];

	if (!path || !strcmp(other, plan->alias))
		return;
	snprintf(remedy, sizeof(remedy),
		 "Let systemd know it by another name as well: ln -s %.80s " HS_SYSCONFDIR
		 "/systemd/system/%.80s",
		 other, plan->alias);
	refuse_alias(plan, path, WHY_OTHER, remedy);
}

/* It does something once, or groups others: what is active of it is nothing that serves. */
static bool is_umbrella(sd_bus *bus, const struct unitload *load)
{
	_cleanup_(freep) char *type = NULL;

	return !strcmp(load->active_state, "active") && unitask_type(bus, load->id, &type) >= 0 &&
	       !strcmp(type, "oneshot");
}

/* The name must be free, or be that of a server that has been stopped. */
static void check_alias(sd_bus *bus, struct enable_plan *plan, const struct unitload *load)
{
	char remedy[2 * UNIT_NAME_MAX];

	if (!alias_is_possible(plan->alias)) {
		refuse_alias(plan, NULL, "An alias is a service that is no template",
			     "Give one like app.service");
	} else if (!strcmp(load->load_state, "masked")) {
		snprintf(remedy, sizeof(remedy), "Run: systemctl unmask %s", plan->alias);
		refuse_alias(plan, load->fragment, "The unit is masked, so nothing can start it",
			     remedy);
	} else if (strcmp(load->id, plan->alias)) {
		snprintf(remedy, sizeof(remedy), "Give that name: %s", load->id);
		refuse_alias(plan, load->fragment, "This is only another name of a unit", remedy);
	} else if (!enable_is_alias_file(load->fragment, NULL)) {
		if (strcmp(load->active_state, "inactive") &&
		    strcmp(load->active_state, "failed") && !is_umbrella(bus, load)) {
			snprintf(remedy, sizeof(remedy), "Let the slots take over: --from=%s",
				 plan->alias);
			refuse_alias(plan, load->fragment, "The unit runs a server of its own",
				     remedy);
		}
	} else if (!enable_is_alias_file(load->fragment, plan->service)) {
		refuse_alias(plan, load->fragment, "The name stands for another service",
			     "Give another one");
	}
}

static bool can_reload(sd_bus *bus, const char *service)
{
	char unit[UNIT_NAME_MAX];

	return !name_unit(service, 0, unit, sizeof(unit)) && unitask_can_reload(bus, unit);
}

/* NULL = none is. */
static const char *later_drop_in(const struct unitload *load)
{
	for (char **p = load->drop_ins; p && *p; p++)
		if (dropin_is_later(*p))
			return *p;
	return NULL;
}

#define WHY_LATER                                                                         \
	"is read behind hotstandby's, so what it sets for the server would hold for the " \
	"commands of an alias, which run as root"
#define REMEDY_LATER "Give it a name that sorts before " DROPIN_NAME

static void check_later(struct enable_plan *plan, const struct unitload *load)
{
	const char *later = later_drop_in(load);

	if (later)
		refuse_alias(plan, later, "The drop-in " WHY_LATER, REMEDY_LATER);
}

bool enable_alias_is_possible(sd_bus *bus, const char *service, const char *unit,
			      struct problem *ret_why)
{
	_cleanup_(freep) char *other = enable_alias(service);
	_cleanup_(unitload_done) struct unitload load = {0};
	const char *later;

	if (other && strcmp(other, unit)) {
		problem_set(ret_why, 0,
			    "%s stands for the slots, as one name can; leave it so: --no-alias",
			    other);
		return false;
	}
	if (unitload(bus, unit, &load, ret_why) < 0)
		return false;
	later = later_drop_in(&load);
	if (later)
		problem_set(ret_why, 0, "%.200s " WHY_LATER ". " REMEDY_LATER, later);
	return !later;
}

/* What stood in the place of its file is kept beside it. */
static int write_alias(struct enable_plan *plan, bool reloads, struct problem *problem)
{
	_cleanup_(freep) char *path = alias_path(plan->alias, "");
	struct stat st;
	int r = 0;

	if (!path)
		return enable_no_memory(problem);
	if (!lstat(path, &st) && !enable_is_alias_file(path, plan->service))
		r = filechanges_rename(&plan->changes, alias_path(plan->alias, ""),
				       alias_path(plan->alias, ALIAS_SAVED), problem);
	return r < 0 ? r
		     : filechanges_write(&plan->changes, steal_ptr(&path),
					 alias_text(plan->service, reloads), problem);
}

int enable_plan_alias(sd_bus *bus, struct enable_plan *plan, struct problem *problem)
{
	_cleanup_(unitload_done) struct unitload load = {0};
	bool reloads = can_reload(bus, plan->service), others = false;
	int r;

	if (!plan->alias[0])
		return 0;
	r = unitload(bus, plan->alias, &load, problem);
	if (r >= 0) {
		check_other(plan);
		check_alias(bus, plan, &load);
		check_later(plan, &load);
	}
	if (r < 0 || plan->report.refused)
		return r;
	r = write_alias(plan, reloads, problem);
	for (char **p = load.drop_ins; p && *p; p++)
		others |= !dropin_is_ours(*p);
	if (r >= 0 && others)
		r = filechanges_write(&plan->changes, dropin_path(plan->alias),
				      alias_dropin_text(plan->service, reloads), problem);
	return r;
}

void enable_set_alias(struct enable_plan *plan, const char *alias)
{
	_cleanup_(freep) char *before = alias ? NULL : enable_alias(plan->service);

	if (alias || before)
		snprintf(plan->alias, sizeof(plan->alias), "%s", alias ?: before);
}
