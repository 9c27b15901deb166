// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/settings/draft.h"

#include <inttypes.h>
#include <string.h>

#include "hsctl/json.h"

#define TOP    "### What stands between here and the next line like this one becomes the drop-in\n"
#define BOTTOM "### What stands below this line does not count\n"
#define BLANKS " \t\r\n"

static void print_setting(FILE *out, json_object *setting)
{
	json_object *from = json_array(setting, "from");
	size_t n = json_count(from);
	json_object *place = n ? json_object_array_get_idx(from, n - 1) : NULL;

	fprintf(out, "# %s=%s", json_text(setting, "key"), json_text(setting, "text"));
	if (place)
		fprintf(out, "    (%s:%" PRId64 ")", json_text(place, "file"),
			json_number(place, "line", 0));
	fputc('\n', out);
}

static void print_effective(FILE *out, json_object *effective)
{
	json_object *settings = json_array(effective, "settings");
	const char *section = "";

	fputs("#\n# What holds now; a default where no file is named:\n", out);
	for (size_t i = 0; i < json_count(settings); i++) {
		json_object *setting = json_object_array_get_idx(settings, i);

		if (strcmp(section, json_text(setting, "section"))) {
			section = json_text(setting, "section");
			fprintf(out, "#\n# [%s]\n", section);
		}
		print_setting(out, setting);
	}
}

char *draft_compose(const char *path, const char *text, json_object *effective, const char *wrong)
{
	size_t size, length = strlen(text);
	char *draft = NULL;
	FILE *out = open_memstream(&draft, &size);

	if (!out)
		return NULL;
	fprintf(out, "### %s\n" TOP "\n%s%s\n" BOTTOM, path, text,
		length && text[length - 1] != '\n' ? "\n" : "");
	if (effective)
		print_effective(out, effective);
	else
		fprintf(out, "#\n# What holds now is not known: %s\n", wrong);
	if (fclose(out))
		return NULL;
	return draft;
}

/* Where our line stands; `otherwise` if it was deleted. */
static const char *find_line(const char *text, const char *line, const char *otherwise)
{
	const char *place = strstr(text, line);

	return place && (place == text || place[-1] == '\n') ? place : otherwise;
}

static const char *end_of(const char *edited)
{
	return find_line(edited, BOTTOM, edited + strlen(edited));
}

char *draft_cut(const char *edited)
{
	return strndup(edited, (size_t)(end_of(edited) - edited));
}

char *draft_extract(const char *edited)
{
	const char *end = end_of(edited), *top = find_line(edited, TOP, NULL);
	const char *start = top && top < end ? top + strlen(TOP) : edited;
	char *text;

	while (start < end && strchr(BLANKS, *start))
		start++;
	while (end > start && strchr(BLANKS, end[-1]))
		end--;
	if (asprintf(&text, "%.*s%s", (int)(end - start), start, end > start ? "\n" : "") < 0)
		return NULL;
	return text;
}
