/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which files enable and disable have changed, for people and for programs. */
#pragma once

#include <json-c/json.h>

#include "hsctl/unit/filechanges.h"

/* The paths of the changes that were made, as an array that the caller owns. */
json_object *filelist_to_json(const struct filechanges *changes);
/* The same as lines. */
void filelist_print(const struct filechanges *changes);
