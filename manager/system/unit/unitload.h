/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What systemd knows of a unit's set-up, asked for over the bus. Blocks: for commands, not for the
 * daemon. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "util/problem.h"

struct unitload {
	char *id;	    /* its own name, if it was asked for by another */
	char *load_state;   /* "loaded", "not-found", "masked", "bad-setting", "error" */
	char *load_error;   /* systemd's message, "" if there is none */
	char *fragment;	    /* path of the unit file, "" if there is none */
	char *active_state; /* "active", "inactive", ... */
	char **drop_ins;    /* paths, in reading order */
	char **triggers;
	char **triggered_by;
	char **stopped_by; /* units whose stop stops this one: Requires= and its like */
	char **excludes;   /* units that do not run beside this one: Conflicts=, of either */
	bool need_reload;  /* its files changed since systemd read them */
};

/* Has systemd read the unit, if it has not, and asks for the above. A unit that is not there is no
 * error but a load state. With every error `problem` says what failed. */
int unitload(sd_bus *bus, const char *unit, struct unitload *ret_load, struct problem *problem);
void unitload_done(struct unitload *load);

/* Has systemd read all unit files anew, and waits for it, up to 90 s. */
int unitload_anew(sd_bus *bus, struct problem *problem);
/* Does not wait. systemd waits for the jobs that there are. */
void unitload_anew_later(sd_bus *bus);
