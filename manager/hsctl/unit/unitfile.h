/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that a unit is made of, as they stand on disk: its own, then its drop-ins. */
#pragma once

#include "core/config/ini.h"
#include "util/macro.h"
#include "util/problem.h"

struct unitfile {
	char **paths;
	char **texts; /* cut up: what the settings point into */
	struct assignment *items;
	size_t n;
};

/* Reads the files in this order (NULL-terminated). One that is gone is passed over, except the
 * first; lines that are no assignment are ignored, as systemd does. With every error `problem` says
 * which file and why. */
int unitfile_read(char *const *paths, struct unitfile *ret_unit, struct problem *problem);
void unitfile_done(struct unitfile *unit);

/* What was read. Lives as long as the unit. */
struct assignments unitfile_settings(const struct unitfile *unit);
