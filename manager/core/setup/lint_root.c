// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * systemd runs a command with '+' in front as root, and yet in the unit's RootDirectory=, unless
 * RootDirectoryStartOnly= says otherwise, and always with what the unit mounts: whoever owns what
 * is mounted could put a program of their own there, and it would run as root.
 */
#include "core/setup/lint_root.h"

#include <stdio.h>
#include <string.h>

#include "core/setup/commands.h"
#include "core/setup/dropin_file.h"
#include "util/macro.h"
#include "util/parse.h"

#define BLANKS " \t"

#define SWITCH "RootDirectoryStartOnly"

/* What our commands are, what they load, and whom they believe. */
static const char *const trusted[] = {
	HS_PREFIX "/bin/hsctl",
	HS_PREFIX "/lib/hotstandby",
	"/bin/hsctl",
	"/lib",
	"/lib64",
	"/usr/lib",
	"/usr/lib64",
	"/etc/hotstandby",
	"/etc/ld.so.preload",
	"/etc/ld.so.cache",
	"/run/dbus",
	"/run/hotstandby",
	"/run/hs-borrow",
	"/run/systemd",
	"/var/run",
	"/proc",
	"/sys",
};

/* ---- the root ---- */

static bool is_set(const struct lint_unit *service, const char *key,
		   const struct assignment **ret_line)
{
	const struct assignment *a = assignments_last(&service->settings, "Service", key);

	*ret_line = a;
	return a && a->value[strspn(a->value, "/-")];
}

/* What the unit says itself. Of two, the later one. */
static const struct assignment *own_switch(const struct lint_unit *service, bool *ret_on)
{
	const struct assignments *list = &service->settings;

	*ret_on = false;
	for (size_t i = list->n; i > 0; i--) {
		const struct assignment *a = &list->items[i - 1];

		if (!dropin_is_ours(a->file) && assignment_is(a, "Service", SWITCH) &&
		    !parse_bool(a->value, ret_on))
			return a;
	}
	return NULL;
}

static bool is_reset(const struct assignments *list, size_t index)
{
	for (size_t i = index + 1; i < list->n; i++)
		if (!*list->items[i].value && !dropin_is_ours(list->items[i].file) &&
		    assignment_is(&list->items[i], list->items[index].section,
				  list->items[index].key))
			return true;
	return false;
}

static bool is_command(const struct assignment *a)
{
	for (unsigned list = 0; list < COMMANDS_COUNT; list++)
		if (assignment_is(a, "Service", command_list_to_string(list)))
			return *a->value && !dropin_is_ours(a->file);
	return false;
}

/* They ran in there so far, and with the switch they would not. */
static void lint_moved(struct lint_report *report, const struct lint_unit *service)
{
	const struct assignments *list = &service->settings;

	for (size_t i = 0; i < list->n; i++)
		if (is_command(&list->items[i]) && !is_reset(list, i))
			lint_line(report, true, &list->items[i],
				  "The unit has a root of its own, and hotstandby's commands must "
				  "run outside of it, for whoever owns it would be root there; "
				  "then this command runs outside of it, too",
				  "See that it can, and say so in the unit: " SWITCH "=yes; or "
				  "remove the command");
}

static void lint_own_root(struct lint_report *report, const struct lint_unit *service)
{
	const struct assignment *root, *line;
	bool on;

	line = own_switch(service, &on);
	if (line && !on && dropin_is_later(line->file))
		lint_line(report, true, line,
			  "hotstandby's commands run as root, and whoever owns a root of the "
			  "unit's own could put other programs in their place",
			  "Remove the line");
	if (!on && (is_set(service, "RootDirectory", &root) || is_set(service, "RootImage", &root)))
		lint_moved(report, service);
}

/* ---- what is mounted ---- */

#define WHY_MOUNTED                                                                              \
	"systemd shows this to hotstandby's commands as well, which run as root and would come " \
	"from there, or believe what is there: whoever may write it would be root"

/* One is the other, or in it. */
static bool is_within(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return !strncmp(path, folder, length) && (!path[length] || path[length] == '/');
}

/* Takes what systemd takes for the same: "//", "/./", a slash at the end. */
static void simplify(char *path)
{
	char *to = path;

	for (const char *from = path; *from; from++) {
		bool slash = *from == '/';

		if (slash && (from[1] == '/' || !from[1]))
			continue;
		if (slash && from[1] == '.' && (from[2] == '/' || !from[2])) {
			from++;
			continue;
		}
		*to++ = *from;
	}
	*to = 0;
}

static bool is_trusted_place(const char *place)
{
	char path[4096];
	const char *tail = place;

	/* the specifiers of folders that are among ours */
	if (!strncmp(place, "%t", 2) || !strncmp(place, "%E", 2))
		tail = place + 2;
	snprintf(path, sizeof(path), "%s%s",
		 tail == place	   ? ""
		 : place[1] == 't' ? "/run"
				   : "/etc",
		 tail);
	if (strstr(path, ".."))
		return true;
	simplify(path);
	for (size_t i = 0; i < ARRAY_SIZE(trusted); i++)
		if (is_within(path, trusted[i]) || is_within(trusted[i], path))
			return true;
	return false;
}

/* "SOURCE:PLACE:OPTIONS", of a bind mount or an image. What stays where it is is nothing new. */
static bool covers_trusted(char *word)
{
	char *place = strchr(word, ':'), *end;

	if (!place)
		return false;
	*place++ = 0;
	end = strchr(place, ':');
	if (end)
		*end = 0;
	return strcmp(word + strspn(word, "-"), place) && is_trusted_place(place);
}

static bool mounts_over_trusted(const char *value)
{
	char text[4096], *rest = text;
	bool covers = false;

	/* without quotes, in which a blank may stand: that is one word more, and no place less */
	if (snprintf(text, sizeof(text), "%s", value) >= (int)sizeof(text))
		return true;
	for (char *word; (word = strtok_r(rest, BLANKS "\"'", &rest));)
		covers |= covers_trusted(word);
	return covers;
}

/* These lie over /usr as a whole. */
static bool is_extension(const struct assignment *a)
{
	return assignment_is(a, "Service", "ExtensionImages") ||
	       assignment_is(a, "Service", "ExtensionDirectories");
}

static bool is_mount(const struct assignment *a)
{
	return assignment_is(a, "Service", "BindPaths") ||
	       assignment_is(a, "Service", "BindReadOnlyPaths") ||
	       assignment_is(a, "Service", "MountImages");
}

static void lint_mounts(struct lint_report *report, const struct lint_unit *service)
{
	const struct assignments *list = &service->settings;

	for (size_t i = 0; i < list->n; i++) {
		const struct assignment *a = &list->items[i];

		if (!*a->value || is_reset(list, i))
			continue;
		if (is_extension(a) || (is_mount(a) && mounts_over_trusted(a->value)))
			lint_line(report, true, a, WHY_MOUNTED,
				  "Give the server a place of its own for it, below /srv or /opt, "
				  "say, with BindPaths=");
	}
}

void lint_root(struct lint_report *report, const struct lint_unit *service)
{
	lint_own_root(report, service);
	lint_mounts(report, service);
}
