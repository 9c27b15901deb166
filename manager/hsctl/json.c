// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/json.h"

#include <string.h>

#include "util/text.h"

static json_object *get(json_object *object, const char *key)
{
	json_object *value = NULL;

	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &value);
	return value;
}

const char *json_text(json_object *object, const char *key)
{
	json_object *value = get(object, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

int64_t json_number(json_object *object, const char *key, int64_t missing)
{
	json_object *value = get(object, key);

	return json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : missing;
}

bool json_is_null(json_object *object, const char *key)
{
	json_object *value = NULL;

	return json_object_is_type(object, json_type_object) &&
	       json_object_object_get_ex(object, key, &value) && !value;
}

double json_double(json_object *object, const char *key)
{
	json_object *value = get(object, key);
	bool number = json_object_is_type(value, json_type_double) ||
		      json_object_is_type(value, json_type_int);

	return number ? json_object_get_double(value) : 0;
}

bool json_is_true(json_object *object, const char *key)
{
	json_object *value = get(object, key);

	return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

json_object *json_array(json_object *object, const char *key)
{
	json_object *value = get(object, key);

	return json_object_is_type(value, json_type_array) ? value : NULL;
}

size_t json_count(json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

static void tame_text(json_object *object)
{
	_cleanup_(freep) char *text = strdup(json_object_get_string(object));

	/* a zero inside ends it: there is none in what we ask for */
	if (text && strcmp(text_tame(text), json_object_get_string(object)) != 0)
		json_object_set_string(object, text);
}

/* What it says is shown on terminals. */
static void tame(json_object *object)
{
	if (json_object_is_type(object, json_type_string))
		tame_text(object);
	for (size_t i = 0; i < json_count(object); i++)
		tame(json_object_array_get_idx(object, i));
	if (!json_object_is_type(object, json_type_object))
		return;
	json_object_object_foreach(object, key, value)
	{
		(void)key;
		tame(value);
	}
}

json_object *json_parse(const char *text)
{
	json_object *object = text ? json_tokener_parse(text) : NULL;

	tame(object);
	return object;
}

const char *json_line(json_object *object)
{
	return json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE);
}
