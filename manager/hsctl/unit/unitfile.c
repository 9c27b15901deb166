/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hsctl/unit/unitfile.h"

#include <string.h>

#include "util/files.h"
#include "util/strings.h"

#define FILE_SIZE_MAX (1024 * 1024)

void unitfile_done(struct unitfile *unit)
{
	strings_free(unit->paths);
	strings_free(unit->texts);
	free(unit->items);
	*unit = (struct unitfile) {};
}

struct assignments unitfile_settings(const struct unitfile *unit)
{
	return (struct assignments) {.items = unit->items, .n = unit->n};
}

static int add_item(struct unitfile *unit, const struct assignment *item)
{
	struct assignment *larger = unit->items;

	/* room grows with the powers of two */
	if ((unit->n & (unit->n - 1)) == 0) {
		larger = reallocarray(unit->items, unit->n ? unit->n * 2 : 1, sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		unit->items = larger;
	}
	unit->items[unit->n++] = *item;
	return 0;
}

static int parse_text(struct unitfile *unit, const char *path, char *text)
{
	enum ini_kind kind;
	struct ini ini;
	int r = 0;

	ini_init(&ini, text);
	while (r >= 0 && (kind = ini_next(&ini)) != INI_END)
		if (kind == INI_ASSIGNMENT)
			r = add_item(unit, &(struct assignment) {path, ini.line, ini.section,
								 ini.key, ini.value});
	return r;
}

/* Reads one file into the unit, which then owns path and text. */
static int read_file(struct unitfile *unit, const char *path)
{
	char *text;
	int r;

	r = file_read(path, FILE_SIZE_MAX, &text);
	if (r < 0)
		return r;
	r = strings_take(&unit->texts, text);
	if (r < 0)
		return r;
	r = strings_add(&unit->paths, path);
	if (r < 0)
		return r;
	return parse_text(unit, unit->paths[strings_count(unit->paths) - 1], text);
}

int unitfile_read(char *const *paths, struct unitfile *ret_unit, struct problem *problem)
{
	_cleanup_(unitfile_done) struct unitfile unit = {};

	for (size_t i = 0; paths && paths[i]; i++) {
		int r = read_file(&unit, paths[i]);

		if (r == -ENOENT && i > 0)
			continue;
		if (r == -EBADMSG)
			return problem_set(problem, r, "%s is not a text file.", paths[i]);
		if (r < 0)
			return problem_set(problem, r, "Cannot read %s: %s.", paths[i],
					   strerror(-r));
	}
	*ret_unit = unit;
	unit = (struct unitfile) {};
	return 0;
}
