/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A unit as it is judged: its settings, and whether they know the slot. Pure. */
#pragma once

#include <stdbool.h>

#include "core/config/ini.h"

/* One unit as it is set up for one slot. The settings: its own file, then its drop-ins in reading
 * order. */
struct lint_unit {
	const char *name;     /* "app@0.socket" */
	const char *fragment; /* path of its own file */
	struct assignments settings;
	char *const
		*stopped_by; /* units whose stop stops this one, as systemd sees it; may be NULL */
	char *const *excludes; /* likewise, that do not run beside this one */
};

/* True if a specifier in the value stands for the slot. */
bool lint_depends_on_slot(const char *value);

/* True if commands may know the slot by a variable that the unit sets. */
bool lint_has_own_environment(const struct lint_unit *service);
