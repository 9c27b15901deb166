/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps of hsctl/setup/takeover.h, in their order. They return 0 or -errno, and then `problem`
 * of the takeover says what failed. Up to takeover_check_addresses() all can be undone.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "hsctl/arguments.h"
#include "hsctl/path/pathhold.h"
#include "hsctl/setup/enable.h"
#include "hsctl/setup/plainpaths.h"
#include "hsctl/unit/plainunit.h"
#include "util/macro.h"

/* How long systemd may take over one job, and how often it is looked. */
#define TAKEOVER_JOB_USEC  (10 * 60 * USEC_PER_SEC)
#define TAKEOVER_LOOK_USEC (200 * USEC_PER_MSEC)

struct takeover {
	const struct arguments *arguments;
	sd_bus *systemd;
	struct enable_plan *plan;
	struct plainunit plain;
	struct plainpaths paths; /* that it listens at */
	struct config settings;	 /* as they are now, with the paths that enable has found */
	char **sockets;		 /* socket units that start it */
	unsigned started;	 /* bit N: slot N was started here */
	struct problem problem;
};

/* Tells of a step, unless JSON is wanted. */
void takeover_step(const struct takeover *t, const char *name, const char *text);
void takeover_pause(uint64_t usec);

/* ---- hsctl/setup/takeover_slots.c: the slots, beside the plain unit ---- */

int takeover_make_room(struct takeover *t);
/* Returns when they are ready. */
int takeover_start_slots(struct takeover *t);
/* That the slots serve what the plain unit serves. */
int takeover_check_addresses(struct takeover *t);

/* ---- hsctl/setup/takeover_plain.c: the end of the plain unit ---- */

/* Until it has no connections left, or its time is up. */
void takeover_drain(struct takeover *t);
/* With the socket units that would start it again. */
int takeover_stop_plain(struct takeover *t);
/* ---- hsctl/setup/takeover_paths.c: AF_UNIX: the slots have files of their own ---- */

/* Whether the unit has nothing but paths that the slots cannot listen at beside it, and why, a
 * clause. */
bool takeover_has_other_paths(sd_bus *systemd, const struct enable_plan *plan,
			      const struct plainunit *plain, struct problem *ret_why);
/* Before the first slot has them: what it listens at, so that it can have that again. */
int takeover_look_at_paths(struct takeover *t);
/* takeover_stop_plain(), and the paths go on leading to the slots. */
int takeover_stop_beside_links(struct takeover *t);
/* The paths are the plain unit's again, and stay so until pathhold_end(). */
void takeover_give_back_paths(struct takeover *t, struct pathhold *ret_hold);

/* ---- its name ---- */

/* What starts at boot, and what its name stands for from now on. */
int takeover_settle_name(struct takeover *t);
