/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/config/ini.h"

#include <string.h>

#define BLANKS "\t\n\r "

bool assignment_is(const struct assignment *assignment, const char *section, const char *key)
{
	return !strcmp(assignment->section, section) && !strcmp(assignment->key, key);
}

const struct assignment *assignments_last(const struct assignments *list, const char *section,
					  const char *key)
{
	for (size_t i = list->n; i > 0; i--)
		if (assignment_is(&list->items[i - 1], section, key))
			return &list->items[i - 1];
	return NULL;
}

void ini_init(struct ini *ini, char *text)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";

	if (!strncmp(text, byte_order_mark, strlen(byte_order_mark)))
		text += strlen(byte_order_mark);
	*ini = (struct ini) {.next = text, .next_line = 1, .section = ""};
}

/* Cuts the next line of the file off. NULL = there is none. */
static char *next_physical(struct ini *ini)
{
	char *line = ini->next;
	size_t length = strcspn(line, "\r\n");
	char *end = line + length;

	if (!*line)
		return NULL;
	ini->next = end + (end[0] == '\r' && end[1] == '\n' ? 2 : *end != 0);
	ini->next_line++;
	*end = 0;
	return line;
}

/* True if the text ends with a backslash that no other one escapes. */
static bool is_continued(const char *start, const char *end)
{
	const char *p = end;

	while (p > start && p[-1] == '\\')
		p--;
	return (end - p) % 2;
}

/* Joins a line with those that continue it, in place: what is joined is never longer than what was
 * read. NULL = there is none. */
static char *next_logical(struct ini *ini)
{
	char *start = NULL, *end = NULL, *line;

	while ((line = next_physical(ini))) {
		const char *first = line + strspn(line, BLANKS);
		size_t length = strlen(line);

		if (*first == '#' || *first == ';' || (!start && !*first))
			continue;
		if (!start) {
			start = end = line;
			ini->line = ini->next_line - 1;
		} else {
			memmove(end, line, length + 1);
		}
		end += length;
		if (!is_continued(start, end))
			break;
		end[-1] = ' ';
	}
	return start;
}

/* Cuts the blanks off both ends. */
static char *strip(char *text)
{
	size_t length;

	text += strspn(text, BLANKS);
	length = strlen(text);
	while (length > 0 && strchr(BLANKS, text[length - 1]))
		length--;
	text[length] = 0;
	return text;
}

static enum ini_kind take_section(struct ini *ini, char *line)
{
	size_t length = strlen(line);

	if (length < 3 || line[length - 1] != ']') {
		ini->value = line;
		return INI_GARBAGE;
	}
	line[length - 1] = 0;
	ini->section = line + 1;
	return INI_SECTION;
}

static enum ini_kind take_assignment(struct ini *ini, char *line)
{
	char *equals = strchr(line, '=');

	if (!equals || equals == line) {
		ini->value = line;
		return INI_GARBAGE;
	}
	*equals = 0;
	ini->key = strip(line);
	ini->value = strip(equals + 1);
	return INI_ASSIGNMENT;
}

enum ini_kind ini_next(struct ini *ini)
{
	char *line;

	ini->key = ini->value = "";
	do {
		line = next_logical(ini);
		if (!line)
			return INI_END;
		line = strip(line);
	} while (!*line);

	return *line == '[' ? take_section(ini, line) : take_assignment(ini, line);
}
