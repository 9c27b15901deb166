// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/enable_steps.h"

#include <limits.h>
#include <string.h>

#include "core/path.h"
#include "core/setup/dropin.h"
#include "hsctl/path/pathdetect.h"
#include "util/files.h"
#include "util/strings.h"

static void add_path_finding(struct enable_plan *plan, const char *path, bool refuses,
			     const char *why, const char *remedy)
{
	struct lint_finding finding = {.refuses = refuses, .why = why};

	snprintf(finding.what, sizeof(finding.what), "%s", path);
	snprintf(finding.remedy, sizeof(finding.remedy), "%s", remedy);
	lint_add(&plan->report, &finding);
}

/* Who makes the link, as a command of the unit's, makes it in the slot's own folder from now on. */
static void note_other_name(struct enable_plan *plan, const char *path)
{
	char name[NAME_MAX + 1], folder[HS_PATH_MAX], link[HS_PATH_MAX + sizeof(name) + 1];
	struct lint_finding finding = {
		.why = "It is another name for a path of the server's that clients may know it by, "
		       "and slots make theirs where clients do not see it: at the next boot it is "
		       "missing"};

	if (!pathdetect_other_name(path, name))
		return;
	path_folder(path, folder);
	snprintf(link, sizeof(link), "%s/%s", folder, name);
	snprintf(finding.what, sizeof(finding.what), "%s", link);
	snprintf(
		finding.remedy, sizeof(finding.remedy),
		"Have it made at boot, by a line in a file below /etc/tmpfiles.d: L+ %.80s - - - - "
		"%.80s",
		link, path + strlen(folder) + 1);
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
	note_other_name(plan, path);
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

static void refuse_exclusive(struct enable_plan *plan)
{
	if (plan->paths.n && plan->config.exclusive)
		add_path_finding(plan, "Exclusive=yes", true,
				 "Such a service is switched through the park, where clients wait, "
				 "and there is none for AF_UNIX sockets",
				 "Remove the line, or let the server listen by TCP");
}

int enable_find_paths(sd_bus *bus, struct enable_plan *plan, const char *named,
		      struct problem *problem)
{
	struct pathlist list = {0};
	int r = named ? pathlist_split(named, &list, problem) : 0;

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
