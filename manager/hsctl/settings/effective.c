// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/settings/effective.h"

#include <string.h>

#include "hsctl/json.h"
#include "hsctl/settings/schema.h"
#include "system/configfile.h"

struct build {
	json_object *files, *settings;
};

static const struct setting *find_key(const char *section, const char *name, size_t *ret_index)
{
	const struct setting *key;

	for (size_t i = 0; (key = config_key(i)); i++) {
		*ret_index = i;
		if (!strcmp(key->section, section) && !strcmp(key->name, name))
			break;
	}
	return key;
}

static void add(json_object *object, const char *key, json_object *value)
{
	json_object_object_add(object, key, value);
}

/* A value of a list, or the only one. */
static void set_value(json_object *object, const struct setting *key, const char *text, bool more)
{
	json_object *value = schema_value(key, *text ? text : key->value), *list;

	if (!key->list) {
		add(object, "value", value);
		add(object, "text", json_object_new_string(*text ? text : key->value));
		return;
	}
	list = more ? json_object_get(json_array(object, "value")) : json_object_new_array();
	if (*text)
		json_object_array_add(list, value);
	else
		json_object_put(value);
	add(object, "text", json_object_new_string(*text ? text : key->value));
	add(object, "value", list);
}

static json_object *place_of(const struct assignment *assignment)
{
	json_object *place = json_object_new_object();

	add(place, "file", json_object_new_string(assignment->file));
	add(place, "line", json_object_new_int64(assignment->line));
	return place;
}

static void on_assignment(const struct assignment *assignment, void *userdata)
{
	const struct build *build = userdata;
	const struct setting *key;
	json_object *object, *from;
	bool more;
	size_t i;

	key = find_key(assignment->section, assignment->key, &i);
	if (!key)
		return;
	object = json_object_array_get_idx(build->settings, i);
	more = key->list && *assignment->value;
	set_value(object, key, assignment->value, more);
	from = more ? json_object_get(json_array(object, "from")) : json_object_new_array();
	json_object_array_add(from, place_of(assignment));
	add(object, "from", from);
}

static void on_file(const char *path, bool masked, void *userdata)
{
	const struct build *build = userdata;
	json_object *file = json_object_new_object();

	add(file, "path", json_object_new_string(path));
	add(file, "masked", json_object_new_boolean(masked));
	json_object_array_add(build->files, file);
}

static json_object *all_defaults(void)
{
	json_object *settings = json_object_new_array();
	const struct setting *key;

	for (size_t i = 0; (key = config_key(i)); i++) {
		json_object *object = json_object_new_object();

		add(object, "section", json_object_new_string(key->section));
		add(object, "key", json_object_new_string(key->name));
		set_value(object, key, "", false);
		add(object, "default", json_object_new_string(key->value));
		add(object, "from", json_object_new_array());
		add(object, "implied_by", NULL);
		json_object_array_add(settings, object);
	}
	return settings;
}

/* What holds because of another setting, whatever its own says. */
static void add_implied(json_object *settings, const struct config *config)
{
	const struct setting *key;

	for (size_t i = 0; (key = config_key(i)); i++) {
		const char *by = config_implied_by(config, key);
		json_object *object = json_object_array_get_idx(settings, i);

		if (!by || key->kind != SETTING_SWITCH)
			continue;
		set_value(object, key, *(const bool *)config_field(config, key) ? "yes" : "no",
			  false);
		add(object, "implied_by", json_object_new_string(by));
	}
}

int effective_read(const char *service, json_object **ret_object, struct problem *problem)
{
	_cleanup_(json_object_putp) json_object *object = json_object_new_object();
	struct build build = {json_object_new_array(), all_defaults()};
	struct configfile_visitor visitor = {
		.on_file = on_file,
		.on_assignment = on_assignment,
		.userdata = &build,
	};
	struct config config;
	int r;

	add(object, "service", json_object_new_string(service));
	add(object, "files", build.files);
	add(object, "settings", build.settings);
	r = configfile_read(service, &visitor, &config, problem);
	if (r < 0)
		return r;
	add_implied(build.settings, &config);
	*ret_object = steal_ptr(&object);
	return 0;
}
