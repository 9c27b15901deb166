/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/outdated.h"

#include <stdio.h>
#include <string.h>

#include "util/macro.h"

/* As the kernel writes it behind the path of a file that has no name any more. */
static const char deleted[] = " (deleted)";

/* Code that a program has made for itself, and devices: nobody installs these. */
static bool is_installed(const char *path)
{
	static const char *const other[] = {"/dev/",  "/proc/",	 "/sys/",   "/run/",
					    "/tmp/",  "/SYSV",	 "/memfd:", "/var/tmp/",
					    "/[aio]", "/drm mm", "/i915",   "/anon_hugepage"};

	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		if (!strncmp(path, other[i], strlen(other[i])))
			return false;
	return path[0] == '/';
}

/* "7f1c-7f2d r-xp 00001000 fe:01 1234   /usr/lib/libx.so (deleted)": the field behind `n` others.
 */
static char *field_after(char *line, unsigned n)
{
	for (; n; n--) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	return line;
}

const char *outdated_mapping(char *line, bool *ret_gone)
{
	char *path = field_after(line, 5);
	const char *permissions = field_after(line, 1);
	size_t length, tail = sizeof(deleted) - 1;

	path[strcspn(path, "\n")] = '\0';
	length = strlen(path);
	if (strnlen(permissions, 3) < 3 || permissions[2] != 'x' || !is_installed(path))
		return NULL;
	*ret_gone = length > tail && !strcmp(path + length - tail, deleted);
	if (*ret_gone)
		path[length - tail] = '\0';
	return path;
}

void outdated_add(struct outdated *outdated, const struct outdated_file *file)
{
	bool earlier = file->since_usec &&
		       (!outdated->of.since_usec || file->since_usec < outdated->of.since_usec);

	if (!file->gone)
		return;
	if (!outdated->files++ || earlier)
		outdated->of = *file;
}

const char *outdated_describe(const struct outdated *outdated, char text[OUTDATED_TEXT_MAX])
{
	unsigned others = outdated->files - 1;
	char more[48] = "";

	if (others)
		snprintf(more, sizeof(more), ", and %u other file%s", others,
			 others == 1 ? "" : "s");
	snprintf(text, OUTDATED_TEXT_MAX, "it runs an old %s, which was %s%s", outdated->of.path,
		 outdated->of.removed ? "removed from the disk" : "replaced on the disk", more);
	return text;
}
