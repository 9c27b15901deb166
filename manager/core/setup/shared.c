// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/setup/shared.h"

#include <stdio.h>
#include <string.h>

#include "core/setup/commands.h"
#include "core/setup/dropin_file.h"

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

void shared_look(struct shared *shared, const struct lint_unit *service, unsigned slot)
{
	look(&shared->pid_file, fixed_value(service, "PIDFile"), slot);
	look(&shared->runtime_directory, fixed_value(service, "RuntimeDirectory"), slot);
}

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
