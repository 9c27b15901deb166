/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a service has not from the first moment: tables that are made when they are needed. */
#pragma once

#include "plane/path/paths.h"

struct own;
struct plane;
struct ledger;

/* NULL: there is none, see plane/bpf/own.h. */
struct own *plane_own(const struct plane *plane);
/* The table of AF_UNIX sockets, made if there is none. Stays the plane's. */
int plane_paths_get(struct plane *plane, struct paths **ret_paths);

/* What was done with the service, counted: mapped, and stays the plane's; its functions are those
 * of core/ledger.h. NULL: there is none, or one of another layout. */
struct ledger *plane_ledger(const struct plane *plane);

/* ---- for plane.c and plane_listeners.c ---- */

/* The tables of UDP flows and of paths, also when another process has made them since: 0 as well
 * where there is none. */
int plane_open_flows(struct plane *plane);
int plane_open_paths(struct plane *plane);
/* The table of UDP flows, made if there is none. */
int plane_make_flows(struct plane *plane);
/* Both leave the plane without a ledger where there can be none: nothing depends on it. */
void plane_open_ledger(struct plane *plane);
void plane_make_ledger(struct plane *plane);
void plane_close_ledger(struct plane *plane);
