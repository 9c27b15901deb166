/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `hsctl enable` has found, and would write. */
#pragma once

#include <stdbool.h>

#include "core/config/config.h"
#include "core/name.h"
#include "core/setup/commands.h"
#include "core/setup/intake.h"
#include "core/setup/lint.h"
#include "core/setup/pathfind.h"
#include "core/setup/shared.h"
#include "hsctl/unit/filechanges.h"
#include "hsctl/unit/plainunit.h"
#include "hsctl/unit/unitfile.h"

#define ENABLE_UNITS_MAX 96

/* What enable would do. */
struct enable_plan {
	char service[SERVICE_NAME_MAX]; /* "" if the user gave no template */
	struct lint_report report;	/* if it refuses, there are no changes */
	char **sockets;			/* templates of its socket units: "app@.socket" */
	struct filechanges changes;	/* the files to write */
	char *kept_config; /* path of a configuration that was there and stays as it is, or NULL */
	char *old_config;  /* path of the one that disable put aside, if it is there and none else,
			      or NULL */
	struct config config; /* with the defaults where there is none */
	struct intake_facts intake;
	struct shared shared;
	struct commands commands;  /* of slot 0, and with that of all */
	char alias[UNIT_NAME_MAX]; /* see core/setup/alias.h; "" = none */
	const char *from;	   /* what the slots are to take over from, or NULL; not owned */
	struct plainunit plain;	   /* the server as it was before; for who wants to know */
	bool own_network;	   /* a slot's unit has a network namespace made for it */
	unsigned running;	   /* bit N: slot N runs now; hsd adopts it when it is told */
	bool needs_reload;	   /* systemd has not read the newest files */
	struct pathlist paths;	   /* of AF_UNIX sockets, for Paths= */
	struct pathlist own_paths; /* of these, what the server binds itself */
	struct lint_unit unit;	   /* of slot 0 */
	/* likewise, in the order of `sockets` */
	struct lint_unit socket_units[ENABLE_UNITS_MAX];

	/* what the findings point into */
	struct unitfile units[ENABLE_UNITS_MAX];
	size_t n_units;
	char **texts;
};
