/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fast path of a service, for people. */
#pragma once

#include <json-c/json.h>

#include "hsctl/show/screen.h"

/* Of a status object: a line of what goes by it; nothing where it is not set. */
void render_fastpath(const struct render *render, json_object *status);

/* Which way what a connection of `hsctl connections --list` receives and sends goes: "fast",
 * "tcp (full)", "fast/tcp (full)"; "" where it is no pair. Returns `text`. */
#define FASTPATH_WAYS_MAX 64
const char *render_fastpath_ways(json_object *connection, char text[FASTPATH_WAYS_MAX]);
