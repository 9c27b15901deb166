/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hsctl/setup/disable.h"

#include <string.h>
#include <sys/stat.h>

#include "core/setup/alias.h"
#include "core/setup/dropin.h"
#include "hsctl/setup/enable_alias.h"
#include "hsctl/unit/unitapply.h"
#include "system/configfile.h"
#include "util/files.h"
#include "util/strings.h"

#define FILE_SIZE_MAX (4 * 1024 * 1024)

static int no_memory(struct problem *problem)
{
	return problem_set(problem, -ENOMEM, "Out of memory.");
}

void disable_result_done(struct disable_result *result)
{
	filechanges_done(&result->changes);
	free(result->saved_config);
	free(result->vendor_config);
	*result = (struct disable_result) {};
}

/* The socket units that enable gave a drop-in, as the service's own drop-in names them. */
static int enabled_sockets(const char *service, char ***ret_sockets)
{
	_cleanup_(freep) char *template = format("%s@.service", service);
	_cleanup_(freep) char *path = template ? dropin_path(template) : NULL;
	_cleanup_(freep) char *namesake = format("%s@.socket", service);
	_cleanup_(strings_freep) char **sockets = NULL;
	_cleanup_(freep) char *text = NULL;
	int r = 0;

	if (!path || !namesake)
		return -ENOMEM;
	if (file_read(path, FILE_SIZE_MAX, &text) >= 0)
		r = dropin_sockets(text, &sockets);
	/* also after an enable that was cut short */
	if (r >= 0 && !strings_contain(sockets, namesake))
		r = strings_add(&sockets, namesake);
	if (r < 0)
		return r;
	*ret_sockets = steal_ptr(&sockets);
	return 0;
}

/* A configuration as enable wrote it goes, an edited one is put aside, one that masks stays. */
static int plan_config(struct disable_result *result, struct problem *problem)
{
	_cleanup_(freep) char *path = configfile_path(result->service, "");
	_cleanup_(freep) char *fresh = dropin_config_text(result->service);
	_cleanup_(freep) char *now = NULL;
	struct stat st;

	if (!path || !fresh)
		return no_memory(problem);
	if (lstat(path, &st) < 0 || configfile_is_masked(path))
		return 0;
	if (S_ISREG(st.st_mode) && file_read(path, FILE_SIZE_MAX, &now) >= 0 && !strcmp(now, fresh))
		return filechanges_remove(&result->changes, steal_ptr(&path), problem);

	result->saved_config = configfile_path(result->service, ".disabled");
	return filechanges_rename(&result->changes, steal_ptr(&path),
				  configfile_path(result->service, ".disabled"), problem);
}

/* What stood there before it comes back; what somebody has put there since stays. What undoes a
 * server's drop-ins goes in any case. */
static int plan_alias(struct disable_result *result, const char *alias, struct problem *problem)
{
	_cleanup_(freep) char *path = alias_path(alias, ""), *dropin = dropin_path(alias);
	_cleanup_(freep) char *saved = alias_path(alias, ALIAS_SAVED);
	struct stat st;
	bool vacant;
	int r = 0;

	if (!path || !dropin || !saved)
		return no_memory(problem);
	vacant = lstat(path, &st) < 0 || enable_is_alias_file(path, result->service);
	if (vacant && !lstat(saved, &st))
		r = filechanges_rename(&result->changes, steal_ptr(&saved), steal_ptr(&path),
				       problem);
	else if (vacant)
		r = filechanges_remove(&result->changes, steal_ptr(&path), problem);
	if (r >= 0 && enable_is_alias_file(dropin, result->service))
		r = filechanges_remove(&result->changes, steal_ptr(&dropin), problem);
	return r;
}

static int plan_aliases(struct disable_result *result, struct problem *problem)
{
	_cleanup_(strings_freep) char **aliases = NULL;
	int r = enable_aliases(result->service, &aliases);

	if (r < 0)
		return no_memory(problem);
	for (char **p = aliases; r >= 0 && p && *p; p++)
		r = plan_alias(result, *p, problem);
	return r;
}

static int plan_removal(struct disable_result *result, struct problem *problem)
{
	_cleanup_(freep) char *template = format("%s@.service", result->service);
	_cleanup_(strings_freep) char **sockets = NULL;
	_cleanup_(freep) char *vendor = configfile_vendor_path(result->service);
	struct stat st;
	int r;

	if (!template || !vendor || enabled_sockets(result->service, &sockets) < 0)
		return no_memory(problem);
	r = plan_aliases(result, problem);
	if (r >= 0)
		r = filechanges_remove(&result->changes, dropin_path(template), problem);
	if (r >= 0)
		r = filechanges_remove(&result->changes,
				       configfile_path(result->service, ".d/" DROPIN_PATHS),
				       problem);
	for (char **p = sockets; r >= 0 && p && *p; p++)
		r = filechanges_remove(&result->changes, dropin_path(*p), problem);
	if (r >= 0)
		r = plan_config(result, problem);
	if (r >= 0 && stat(vendor, &st) == 0)
		result->vendor_config = steal_ptr(&vendor);
	return r;
}

int disable_apply(sd_bus *bus, const char *text, struct lint_report *report,
		  struct disable_result *ret_result, struct problem *problem)
{
	_cleanup_(disable_result_done) struct disable_result result = {};
	int r = 0;

	if (lint_name(report, text)) {
		(void)name_from_template(text, result.service);
		r = plan_removal(&result, problem);
		if (r >= 0 && filechanges_pending(&result.changes) > 0)
			r = unitapply(bus, &result.changes, problem);
	}
	if (r < 0)
		return r;
	*ret_result = result;
	result = (struct disable_result) {};
	return 0;
}
