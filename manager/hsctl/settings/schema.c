// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/settings/schema.h"

#include "util/parse.h"

static void add(json_object *object, const char *key, json_object *value)
{
	json_object_object_add(object, key, value);
}

json_object *schema_value(const struct setting *key, const char *text)
{
	uint64_t number;
	bool on;

	if (key->kind == SETTING_SPAN && !parse_span(text, &number))
		return json_object_new_uint64(number);
	if (key->kind == SETTING_NUMBER && !parse_unsigned(text, 0, UINT32_MAX, &number))
		return json_object_new_uint64(number);
	if (key->kind == SETTING_SWITCH && !parse_bool(text, &on))
		return json_object_new_boolean(on);
	return json_object_new_string(text);
}

static json_object *words_of(const struct setting *key)
{
	json_object *words = key->words ? json_object_new_array() : NULL;

	for (unsigned i = 0; words && i < key->n_words; i++)
		json_object_array_add(words, json_object_new_string(key->words[i]));
	return words;
}

static json_object *describe(const struct setting *key)
{
	bool bounded = key->kind == SETTING_SPAN || key->kind == SETTING_NUMBER;
	json_object *object = json_object_new_object();

	add(object, "section", json_object_new_string(key->section));
	add(object, "key", json_object_new_string(key->name));
	add(object, "type", json_object_new_string(setting_type(key)));
	add(object, "unit", key->kind == SETTING_SPAN ? json_object_new_string("us") : NULL);
	add(object, "default", schema_value(key, key->value));
	add(object, "default_text", json_object_new_string(key->value));
	add(object, "min", bounded ? json_object_new_uint64(key->min) : NULL);
	add(object, "max", bounded ? json_object_new_uint64(key->max) : NULL);
	add(object, "or_zero", json_object_new_boolean(key->or_zero));
	add(object, "values", words_of(key));
	add(object, "list", json_object_new_boolean(key->list));
	add(object, "help", json_object_new_string(key->help));
	return object;
}

json_object *schema_json(void)
{
	json_object *schema = json_object_new_array();
	const struct setting *key;

	for (size_t i = 0; (key = config_key(i)); i++)
		json_object_array_add(schema, describe(key));
	return schema;
}
