/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server as it was set up before: a unit that is no template and has the service's port or
 * path, such as the app.service that app@.service was copied from. As long as it runs, or is
 * started at boot, it stands in the slots' way.
 */
#pragma once

#include <limits.h>
#include <systemd/sd-bus.h>

#include "core/config/config.h"
#include "core/name.h"
#include "core/setup/pathfind.h"
#include "plane/borrow/scan.h"
#include "system/unit/units.h"

struct plainunit {
	char name[UNIT_NAME_MAX]; /* "" = there is none */
	char fragment[PATH_MAX];
	bool running, at_boot;
	unsigned n_addresses;	/* that its processes serve, and the service is meant to */
	struct address address; /* one of them */
	char path[HS_PATH_MAX]; /* likewise of AF_UNIX; "" = none */
};

/* What the service is meant to serve. */
struct plainunit_scope {
	const struct config *config;
	const struct pathlist *paths;
};

#define PLAINUNIT_TEXT_MAX (UNIT_NAME_MAX + ADDRESS_TEXT_MAX + HS_PATH_MAX + 96)

/*
 * The unit of the service's plain name, if it serves an address or a path, or is started at boot;
 * else, if all units are to be asked about, one that runs the same command as slot 0 would, or
 * serves one of Ports=. Looks into processes, as root: what cannot be seen is not found.
 */
void plainunit_find(sd_bus *bus, const char *service, const struct plainunit_scope *scope,
		    bool ask_all, struct plainunit *ret_unit);
/* Looks at this very unit, whether it serves anything or not. 0: systemd knows no such unit. */
int plainunit_look(sd_bus *bus, const char *name, const struct plainunit_scope *scope,
		   struct plainunit *ret_unit);

/* "nginx.service runs, serves 0.0.0.0:80 and is started at boot" Returns `text`. */
const char *plainunit_describe(const struct plainunit *unit, char text[PLAINUNIT_TEXT_MAX]);
/* "At a boot ..." */
const char *plainunit_why(const struct plainunit *unit);
