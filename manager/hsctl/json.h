/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading JSON that may come from another version: what is missing or of another type is not an
 * error. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/macro.h"

DEFINE_CLEANUP(json_object, json_object_put)

/* "" when there is no such text. Belongs to the object. NULL objects have nothing. */
const char *json_text(json_object *object, const char *key);
/* `missing` when there is no such number, or null. */
int64_t json_number(json_object *object, const char *key, int64_t missing);
double json_double(json_object *object, const char *key);
bool json_is_true(json_object *object, const char *key);
/* That it is there and null is how hsd says of a number that it could not be asked. */
bool json_is_null(json_object *object, const char *key);
/* NULL when there is no such array. Belongs to the object. */
json_object *json_array(json_object *object, const char *key);
/* 0 for NULL. */
size_t json_count(json_object *array);
/* NULL for what is not JSON. Its strings are made fit for a terminal, see text_tame(). The caller
 * owns it. */
json_object *json_parse(const char *text);
/* On one line, as programs get it. Belongs to the object. */
const char *json_line(json_object *object);
