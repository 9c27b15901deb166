/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All settings that a file may have, as JSON, from the table that reads them. */
#pragma once

#include <json-c/json.h>

#include "core/config/config.h"

/* [{"section","key","type","unit","default","default_text","min","max","or_zero","values","list",
 * "help"}]; what does not apply is null. The caller owns it. */
json_object *schema_json(void);

/* The text as a value of the key's type: microseconds, a number, a boolean, else the text itself.
 * The caller owns it. */
json_object *schema_value(const struct setting *key, const char *text);
