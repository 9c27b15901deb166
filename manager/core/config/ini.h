/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The grammar of unit files, which ours share (systemd.syntax(7)): sections in brackets, KEY=VALUE,
 * comment lines with '#' or ';', a backslash at the end of a line continues it (comment lines
 * between are passed over), blanks around key and value do not count. Pure: works on a text in
 * memory, allocates nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* One assignment and where it stands. The strings belong to whoever read the file. */
struct assignment {
	const char *file;
	unsigned line;	     /* of its first line, from 1; 0 = none in particular */
	const char *section; /* "" before the first section */
	const char *key, *value;
};

/* A list of them, in reading order. */
struct assignments {
	const struct assignment *items;
	size_t n;
};

/* True if it is this key in this section. */
bool assignment_is(const struct assignment *assignment, const char *section, const char *key);

/* The last one of a key, the one that counts for settings that are no lists. NULL = never set. */
const struct assignment *assignments_last(const struct assignments *list, const char *section,
					  const char *key);

enum ini_kind {
	INI_END,
	INI_SECTION,	/* ini.section is new */
	INI_ASSIGNMENT, /* ini.key, ini.value */
	INI_GARBAGE,	/* neither: no '=', no key, no closing bracket; ini.value is the line */
};

/* Where the reader stands. Everything it hands out points into the text and lives as long as that.
 */
struct ini {
	char *next;
	unsigned next_line;
	unsigned line;
	const char *section, *key, *value;
};

/* Starts at the top of `text`, which ini_next() changes as it goes. */
void ini_init(struct ini *ini, char *text);

/* Reads on to the next section, assignment or line that is neither. Behind a section header that is
 * broken, assignments belong to the section before. */
enum ini_kind ini_next(struct ini *ini);
