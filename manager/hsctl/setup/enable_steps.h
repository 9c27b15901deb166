/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The looks that enable_plan_new() takes. What they find wrong is in plan->report; they return 0
 * then too. */
#pragma once

#include <systemd/sd-bus.h>

#include "hsctl/setup/enable_plan.h"
#include "system/unit/unitload.h"

/* Keeps a copy of a text for as long as the plan lives: findings point to it. NULL stays NULL. */
const char *enable_keep(struct enable_plan *plan, const char *text);
int enable_no_memory(struct problem *problem);

/* ---- hsctl/setup/enable_slot.c: the units of one slot ---- */

/* How systemd has loaded what it was asked for by the name `unit`. */
enum lint_load enable_load_of(const struct unitload *load, const char *unit);
/* Looks at the service of one slot and at its socket units. */
int enable_add_slot(sd_bus *bus, struct enable_plan *plan, unsigned slot, struct problem *problem);
/* A socket unit without instances may start an instance of the template for each connection. */
int enable_check_per_connection(sd_bus *bus, struct enable_plan *plan, struct problem *problem);

/* ---- hsctl/setup/enable_paths.c: AF_UNIX sockets ---- */

/* The socket units' first; then what somebody has named (NULL = nobody), or else what can be found.
 */
int enable_find_paths(sd_bus *bus, struct enable_plan *plan, const char *named,
		      struct problem *problem);
