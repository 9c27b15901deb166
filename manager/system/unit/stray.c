// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/unit/stray.h"

#include <stdio.h>
#include <string.h>

#include "plane/kernel/cgroup.h"
#include "plane/kernel/holder.h"
#include "util/macro.h"
#include "util/text.h"

static bool is_below(const char *cgroup, const char *above)
{
	size_t length = strlen(above);

	return !strncmp(cgroup, above, length) && (!cgroup[length] || cgroup[length] == '/');
}

/* What Cgroup= would have to be, if the number of the slot stands in the last part of the path. */
static void guess_setting(const char *cgroup, unsigned slot, char *text, size_t size)
{
	const char *last = strrchr(cgroup, '/');
	char number[8];
	const char *place;

	snprintf(number, sizeof(number), "%u", slot);
	place = last ? strstr(last, number) : NULL;
	if (place)
		snprintf(text, size, "%.*s%%i%s", (int)(place - cgroup), cgroup,
			 place + strlen(number));
	else
		snprintf(text, size, "its path, with %%i for the slot");
}

static void describe_elsewhere(const char *service, unsigned slot, char *cgroup,
			       struct problem *ret_sentence)
{
	char setting[256];

	text_tame(cgroup);
	guess_setting(cgroup, slot, setting, sizeof(setting));
	problem_set(ret_sentence, 0,
		    "its processes are in the control group %.160s and not in that of its unit, so "
		    "their sockets are not seen; say where they are, in %.60s.conf: Cgroup=%.160s",
		    cgroup, service, setting);
}

/* The command that asks a daemon for a container, and waits for it. */
static bool is_client(const struct holder *holder)
{
	static const char *const clients[] = {"docker", "podman", "nerdctl"};

	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		if (!strcmp(holder->comm, clients[i]))
			return true;
	return false;
}

/* The folders of the slice SERVICE-%i.slice: each dash in a slice's name is one more. */
static void slice_setting(const char *service, char *text, size_t size)
{
	size_t used = 0;

	for (const char *dash = strchr(service, '-'); dash && used < size;
	     dash = strchr(dash + 1, '-'))
		used += snprintf(text + used, size - used, "/%.*s.slice", (int)(dash - service),
				 service);
	if (used < size)
		snprintf(text + used, size - used, "/%s.slice/%s-%%i.slice", service, service);
}

void stray_describe(const char *service, unsigned slot, const struct unit_facts *facts,
		    struct problem *ret_sentence)
{
	struct holder main_process = {.pid = facts->main_pid};
	char cgroup[PATH_MAX], setting[256];

	problem_set(ret_sentence, 0, "%s", "");
	if (!facts->main_pid || cgroup_of_process(facts->main_pid, cgroup) < 0)
		return;
	if (!is_below(cgroup, facts->control_group)) {
		describe_elsewhere(service, slot, cgroup, ret_sentence);
		return;
	}
	holder_read_comm(&main_process);
	if (!is_client(&main_process))
		return;
	slice_setting(service, setting, sizeof(setting));
	problem_set(ret_sentence, 0,
		    "its container is not in the control group of its unit, so its sockets are not "
		    "seen; podman run --cgroups=split puts it there, and docker run "
		    "--cgroup-parent=%.60s-%%i.slice where it is found with Cgroup=%.160s in "
		    "%.60s.conf",
		    service, setting, service);
}
