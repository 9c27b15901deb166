// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setup/shared.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/setup/commands.h"
#include "core/setup/dropin_file.h"
#include "util/macro.h"
#include "util/strings.h"

#define BETWEEN_FOLDERS " \t\"'"

#define REMEDY                                                                               \
	"Give each slot a file of its own: a path with %i in it, here, and the same in the " \
	"server's configuration"

/* The value that holds, if it is the same in every instance of the template. */
static const char *fixed_value(const struct lint_unit *service, const char *key)
{
	const struct assignment *a = assignments_last(&service->settings, "Service", key);

	return a && *a->value && !lint_depends_on_slot(a->value) ? a->value : NULL;
}

static void look(const char **common, const char *value, unsigned slot)
{
	if (!slot)
		*common = value;
	else if (!value || (*common && strcmp(value, *common)))
		*common = NULL;
}

/* ---- folders ---- */

static int add_folders(char ***folders, const char *value)
{
	for (size_t length; *(value += strspn(value, BETWEEN_FOLDERS)); value += length) {
		_cleanup_(freep) char *folder = strndup(value, strcspn(value, BETWEEN_FOLDERS));
		int r = 0;

		if (!folder)
			return -ENOMEM;
		length = strlen(folder);
		if (!lint_depends_on_slot(folder))
			r = strings_take(folders, steal_ptr(&folder));
		if (r < 0)
			return r;
	}
	return 0;
}

/* Those that are the same in every instance of the template. Lines add up, and an empty one throws
 * away what stands before. */
static int fixed_folders(const struct lint_unit *service, char ***ret_folders)
{
	_cleanup_(strings_freep) char **folders = NULL;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < service->settings.n; i++) {
		const struct assignment *a = &service->settings.items[i];

		if (!assignment_is(a, "Service", "RuntimeDirectory"))
			continue;
		if (!*a->value) {
			strings_free(folders);
			folders = NULL;
		}
		r = add_folders(&folders, a->value);
	}
	if (r >= 0)
		*ret_folders = steal_ptr(&folders);
	return r;
}

static void keep_common(char **folders, char *const *others)
{
	char **kept = folders;

	for (char **p = folders; p && *p; p++) {
		if (strings_contain(others, *p))
			*kept++ = *p;
		else
			free(*p);
	}
	if (kept)
		*kept = NULL;
}

void shared_done(struct shared *shared)
{
	strings_free(shared->runtime_directories);
	*shared = (struct shared) {0};
}

int shared_look(struct shared *shared, const struct lint_unit *service, unsigned slot)
{
	_cleanup_(strings_freep) char **folders = NULL;
	int r = fixed_folders(service, &folders);

	if (r < 0)
		return r;
	look(&shared->pid_file, fixed_value(service, "PIDFile"), slot);
	if (slot)
		keep_common(shared->runtime_directories, folders);
	else
		shared->runtime_directories = steal_ptr(&folders);
	return 0;
}

/* ---- commands ---- */

/* A word of a command line, not the beginning of a longer one. */
static bool has_word(const char *line, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = line; (p = strstr(p, word)); p++)
		if (!p[length] || strchr(" \t\"';", p[length]))
			return true;
	return false;
}

static void note(struct lint_report *report, const struct assignment *a, const char *why,
		 const char *remedy)
{
	struct lint_finding finding = {.file = a->file, .line = a->line, .why = why};

	snprintf(finding.what, sizeof(finding.what), "%s=%s", a->key, a->value);
	snprintf(finding.remedy, sizeof(finding.remedy), "%s", remedy);
	lint_add(report, &finding);
}

/* A test of the configuration ("-t") reaches nobody. */
static bool knows_its_slot(const char *command)
{
	return lint_depends_on_slot(command) || strstr(command, "MAINPID") ||
	       has_word(command, " -t");
}

/* A later empty line of the same key throws it away. */
static bool is_reset(const struct lint_unit *service, size_t index)
{
	const struct assignment *items = service->settings.items;

	for (size_t i = index + 1; i < service->settings.n; i++)
		if (!*items[i].value && !dropin_is_ours(items[i].file) &&
		    assignment_is(&items[i], items[index].section, items[index].key))
			return true;
	return false;
}

/* Commands that may find the server by what all slots have in common: one says "reload" to the
 * standby, and the active one reloads. Those of which it is known what they do are replaced:
 * core/setup/commands.h. */
static void lint_commands(struct lint_report *report, const struct lint_unit *service,
			  const char *pid_file)
{
	const struct assignment *items = service->settings.items;

	for (size_t i = 0; i < service->settings.n; i++) {
		const struct assignment *a = &items[i];

		bool reload = assignment_is(a, "Service", "ExecReload");

		if ((!reload && !assignment_is(a, "Service", "ExecStop")) || !*a->value ||
		    dropin_is_ours(a->file) || knows_its_slot(a->value) || is_reset(service, i) ||
		    command_is_replaced(a->value, reload ? COMMANDS_RELOAD : COMMANDS_STOP,
					pid_file))
			continue;
		note(report, a,
		     "It names neither the slot (%i) nor its process ($MAINPID): if it finds the "
		     "server by a file that the slots have in common, it may reach another slot "
		     "than the one that is meant. By a port that they share it reaches its own, "
		     "unless Self=active is set",
		     "Give the slots files of their own, with %i");
	}
}

void shared_lint(const struct shared *shared, struct lint_report *report,
		 const struct lint_unit *service)
{
	const struct assignment *type = assignments_last(&service->settings, "Service", "Type");

	if (!lint_has_own_environment(service))
		lint_commands(report, service, shared->pid_file);
	if (!shared->pid_file)
		return;
	if (type && !strcmp(type->value, "forking"))
		note(report, assignments_last(&service->settings, "Service", "PIDFile"),
		     "One file cannot name the main process of every slot, so systemd is told not "
		     "to read it and has to guess",
		     REMEDY);
}
