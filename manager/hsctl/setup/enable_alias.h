/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of `hsctl enable` that writes the unit of the plain name (core/setup/alias.h). */
#pragma once

#include <systemd/sd-bus.h>

#include "hsctl/setup/enable_plan.h"

/* The alias that is there; NULL = none, or no memory. The caller frees. */
char *enable_alias(const char *service);
/* All of them, free with strings_free(): that one, also if its file is gone, and files that say of
 * themselves that they are the service's, whoever has left them. */
int enable_aliases(const char *service, char ***ret_aliases);
/* The file at this path is that of an alias of the service (NULL: of any), or its drop-in. */
bool enable_is_alias_file(const char *path, const char *service);
/* The one that is wanted; NULL = the one that is there, if any. */
void enable_set_alias(struct enable_plan *plan, const char *alias);
/* False, and why, if something of the plain unit would hold for the alias as well, or another name
 * stands for the slots. */
bool enable_alias_is_possible(sd_bus *bus, const char *service, const char *unit,
			      struct problem *ret_why);
/* Looks whether it can be, and adds its files to the changes. 0 also if plan->report refuses. */
int enable_plan_alias(sd_bus *bus, struct enable_plan *plan, struct problem *problem);
