/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The AF_UNIX sockets of a plain unit that slots take over from: at which paths, and what still
 * waits there or is open when the paths lead to the slots already. */
#pragma once

#include <json-c/json.h>

#include "core/setup/pathfind.h"
#include "plane/path/unixdiag.h"

struct plainpaths {
	struct unix_listener *listeners;
	size_t n;
};

/* What the processes of the control group listen at of these public paths; nothing where it cannot
 * be asked. `ret_other`: a path besides that is among none of them, "" = none. */
void plainpaths_find(const char *cgroup, const struct pathlist *paths, struct plainpaths *ret_paths,
		     char ret_other[HS_PATH_MAX]);
void plainpaths_done(struct plainpaths *paths);

/* The first that no slot serves, by the status of the service; NULL = they serve all. */
const char *plainpaths_missing(const struct plainpaths *paths, json_object *status);
/* Connections that wait for it, and those that it has. Where they could not be counted at least 1:
 * it is not known to have none. */
size_t plainpaths_left(const struct plainpaths *paths);
