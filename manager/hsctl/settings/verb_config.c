// SPDX-License-Identifier: GPL-2.0-or-later
/* config: what holds of the settings of a service, and where it stands; what is wrong in them. */
#include <inttypes.h>
#include <string.h>

#include "hsctl/json.h"
#include "hsctl/settings/check.h"
#include "hsctl/settings/effective.h"
#include "hsctl/settings/schema.h"
#include "hsctl/settings/settings.h"
#include "hsctl/show/table.h"
#include "hsctl/verb/elsewhere.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "hsctl/verbs.h"
#include "util/files.h"

#define FILE_MAX 65536

enum { SETTING, VALUE, FROM };

static void add_row(struct libscols_table *table, json_object *setting, const char *value,
		    json_object *place)
{
	const char *implied = json_text(setting, "implied_by");
	struct libscols_line *line = scols_table_new_line(table, NULL);
	_cleanup_(freep) char *name = format("%s=", json_text(setting, "key"));
	_cleanup_(freep) char *from = NULL;

	if (!line || !name)
		return;
	if (implied[0])
		from = format("%s=", implied);
	else if (place)
		from = format("%s:%" PRId64, json_text(place, "file"),
			      json_number(place, "line", 0));
	scols_line_set_data(line, SETTING, name);
	cell_set_text(line, VALUE, value);
	scols_line_set_data(line, FROM, from ?: "default");
}

/* One row, or one for each value of a list. */
static void add_setting(struct libscols_table *table, json_object *setting)
{
	json_object *from = json_array(setting, "from"), *values = json_array(setting, "value");
	size_t n = json_count(from), n_values = json_count(values);

	if (n_values < 2) {
		add_row(table, setting, json_text(setting, "text"),
			n ? json_object_array_get_idx(from, n - 1) : NULL);
		return;
	}
	/* what an empty assignment took back has no value any more, and stands in front */
	for (size_t i = 0; i < n_values; i++)
		add_row(table, setting,
			json_object_get_string(json_object_array_get_idx(values, i)),
			json_object_array_get_idx(from, n - n_values + i));
}

static void print_section(const struct render *render, json_object *settings, const char *section)
{
	static const struct column columns[] = {{"SETTING", 0}, {"VALUE", 0}, {"FROM", 0}};
	_cleanup_(scols_unref_tablep) struct libscols_table *table =
		table_new(render, columns, ARRAY_SIZE(columns));

	for (size_t i = 0; table && i < json_count(settings); i++) {
		json_object *setting = json_object_array_get_idx(settings, i);

		if (!strcmp(json_text(setting, "section"), section))
			add_setting(table, setting);
	}
	fprintf(render->out, "[%s]\n", section);
	if (table)
		table_print(render, table);
}

static void print_file(json_object *file, bool first)
{
	const char *path = json_text(file, "path");
	_cleanup_(freep) char *text = NULL;
	size_t length;

	printf("%s# %s%s\n", first ? "" : "\n", path,
	       json_is_true(file, "masked") ? " (masked)" : "");
	if (json_is_true(file, "masked"))
		return;
	if (file_read(path, FILE_MAX, &text) < 0) {
		printf("# cannot be read any more\n");
		return;
	}
	length = strlen(text);
	fputs(text, stdout);
	if (length && text[length - 1] != '\n')
		putchar('\n');
}

static void print_files(json_object *files)
{
	for (size_t i = 0; i < json_count(files); i++)
		print_file(json_object_array_get_idx(files, i), !i);
}

static void print_effective(const struct arguments *arguments, json_object *object)
{
	struct render render = verb_render(arguments);
	json_object *settings = json_array(object, "settings");

	if (arguments->json) {
		puts(json_line(object));
	} else if (arguments->cat) {
		print_files(json_array(object, "files"));
	} else {
		print_section(&render, settings, CONFIG_SECTION);
		putchar('\n');
		print_section(&render, settings, CONFIG_HEALTH_SECTION);
		putchar('\n');
		print_section(&render, settings, CONFIG_FRONT_SECTION);
		putchar('\n');
		print_section(&render, settings, CONFIG_FASTPATH_SECTION);
	}
}

static int show(const struct arguments *arguments)
{
	_cleanup_(json_object_putp) json_object *object = NULL;
	char service[SERVICE_NAME_MAX];
	struct problem problem = {};
	int r;

	if (verb_service(arguments, service))
		return EXIT_USAGE;
	r = effective_read(service, &object, &problem);
	if (r == -ENOENT)
		return settings_missing(service);
	if (r < 0) {
		complain("%s", problem.text);
		return r == -EINVAL ? EXIT_REFUSED : EXIT_FAILED;
	}
	print_effective(arguments, object);
	return EXIT_DONE;
}

static int end_check(const struct arguments *arguments, json_object *faults, const char *what)
{
	size_t n = json_count(faults);

	if (arguments->json)
		puts(json_line(faults));
	else if (n)
		check_complain(faults);
	else
		printf("%s: in order.\n", what);
	return n ? EXIT_REFUSED : EXIT_DONE;
}

static int check(const struct arguments *arguments)
{
	_cleanup_(json_object_putp) json_object *faults = NULL;
	unsigned n = arguments->n - 1;
	char what[64];
	int r;

	if (n) {
		faults = check_files(arguments->given + 1, n);
		snprintf(what, sizeof(what), "%u file%s", n, n == 1 ? "" : "s");
		return end_check(arguments, faults, n == 1 ? arguments->given[1] : what);
	}
	r = check_all(&faults, &n);
	if (r < 0) {
		complain("cannot look for settings: %s", strerror(-r));
		return EXIT_FAILED;
	}
	snprintf(what, sizeof(what), "Settings of %u service%s", n, n == 1 ? "" : "s");
	return end_check(arguments, faults, what);
}

static int show_schema(void)
{
	_cleanup_(json_object_putp) json_object *schema = schema_json();

	puts(json_object_to_json_string_ext(schema, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_SPACED |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	return EXIT_DONE;
}

int verb_config(const struct arguments *arguments)
{
	bool checks = arguments->n && !strcmp(arguments->given[0], "check");

	if (arguments->host || arguments->machine)
		return elsewhere_run(arguments);
	if (arguments->schema && !arguments->n && !arguments->cat)
		return show_schema();
	if (checks && !arguments->schema && !arguments->cat)
		return check(arguments);
	if (!checks && !arguments->schema && arguments->n == 1)
		return show(arguments);
	complain("%s: hsctl config %s",
		 arguments->n ? "these do not go together" : "too few arguments",
		 arguments->verb->arguments);
	return EXIT_USAGE;
}
