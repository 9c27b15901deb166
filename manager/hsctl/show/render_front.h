/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A front for people: hosts instead of instances. */
#pragma once

#include <json-c/json.h>

#include "hsctl/show/screen.h"

/* "mode dsr on eth0, " */
void render_front_mode(const struct render *render, json_object *front);
void render_hosts(const struct render *render, json_object *slots);
/* Hosts that get connections though none is well; nothing if one is. */
void render_kept(const struct render *render, json_object *slots);
/* What did not go as usual; nothing if all did. */
void render_front_counts(const struct render *render, json_object *front);
