/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Upgrades of one service, and of all that run what was replaced on the disk. */
#pragma once

#include <json-c/json.h>

#include "hsctl/arguments.h"

/* Has hsd upgrade the service as the arguments say, and shows it. `results`: NULL, or an array that
 * gets the result instead of stdout. Returns the exit code. */
int upgrade_service(const struct arguments *arguments, const char *service, json_object *results);
/* What they say of it. EXIT_DONE, or EXIT_USAGE after a complaint. */
int upgrade_check(const struct arguments *arguments);
/* It was ended by a signal. */
bool upgrade_interrupted(void);

/* Each service of the arguments, without any each that there is, of which a slot runs old files.
 * Returns the exit code. */
int upgrade_outdated(const struct arguments *arguments);
