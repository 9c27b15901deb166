/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text for people, made from the JSON that programs get: there is one producer of facts, and two
 * ways to show them. Odd and missing fields are shown as "-". */
#pragma once

#include <json-c/json.h>

#include "hsctl/show/screen.h"

/* A status object, or an array of them: a block for each. */
void render_status(const struct render *render, json_object *status);
/* What connections_report() makes, or a part of it; see render_connections.c. */
void render_connections(const struct render *render, json_object *connections);
/* What report_to_row() makes of each service. */
void render_list(const struct render *render, json_object *list);
