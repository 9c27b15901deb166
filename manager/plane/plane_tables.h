/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a service has not from the first moment: tables that are made when they are needed. */
#pragma once

#include "plane/path/paths.h"

struct own;
struct plane;

/* NULL: there is none, see plane/bpf/own.h. */
struct own *plane_own(const struct plane *plane);
/* The table of AF_UNIX sockets, made if there is none. Stays the plane's. */
int plane_paths_get(struct plane *plane, struct paths **ret_paths);

/* ---- for plane.c and plane_listeners.c ---- */

/* The tables of UDP flows and of paths, also when another process has made them since: 0 as well
 * where there is none. */
int plane_open_flows(struct plane *plane);
int plane_open_paths(struct plane *plane);
/* The table of UDP flows, made if there is none. */
int plane_make_flows(struct plane *plane);
