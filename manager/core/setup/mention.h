/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scripts and settings of others that speak of a server by the name of its plain unit, as those
 * that rotate its logs or renew its certificates do. Under hotstandby they reach nobody, or one
 * slot. Pure.
 */
#pragma once

#include <stdbool.h>

enum mention {
	MENTION_NONE,
	MENTION_UNIT,  /* starts, stops, reloads or restarts it: an alias does what is meant */
	MENTION_OTHER, /* by its PID file, or what only its own script can do */
};

/* What this line says of "nginx.service". `pid_file`: the one of that server; may be NULL. */
enum mention mention_in(const char *line, const char *unit, const char *pid_file);
