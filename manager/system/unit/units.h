/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Units of systemd, over its bus: their state once (for hsctl without hsd), their state as it
 * changes and jobs (for hsd; nothing here blocks an event loop but units_query and units_run_job).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "system/unit/unitfacts.h"
#include "system/unit/unitjob.h"
#include "system/unit/unitwatch.h"
#include "util/problem.h"

/* Whether a signal on the connection comes from systemd. A match does not say so: anybody may send
 * a signal to one connection alone. */
bool units_are_heard(sd_bus *bus, sd_bus_message *signal);

/* Asks once and waits for the answer. A unit that does not exist is UNIT_DOWN. */
int units_query(sd_bus *bus, const char *unit, struct unit_facts *ret_facts,
		struct problem *problem);

/* Runs a job and waits for its end, at most `timeout_usec`. -EIO when it ended other than "done".
 */
int units_run_job(sd_bus *bus, enum unit_action action, const char *unit, uint64_t timeout_usec,
		  struct problem *problem);
/* The same for any call of systemd's manager that answers with a job, about `unit`. */
int units_run_order(sd_bus *bus, sd_bus_message *order, const char *unit, uint64_t timeout_usec,
		    struct problem *problem);

/* Sends a signal to all processes of a unit (KillUnit, "all"). */
int units_kill(sd_bus *bus, const char *unit, int signal, struct problem *problem);

/* systemd forgets that the unit has failed, if it did. */
void units_reset_failed(sd_bus *bus, const char *unit);

/* Lets all processes of the unit go on that were stopped (SIGCONT); does not wait. systemd does so
 * with the main process only before it ends a unit. */
void units_continue(sd_bus *bus, const char *unit);

/* ---- units of our own making ---- */

/* A unit that runs one command. It ends with the unit `binds_to`, and all that it has started with
 * it. */
struct unit_transient {
	const char *name, *description;
	const char *identifier; /* of what it says, in the journal */
	const char *binds_to;
	const char *const *argv; /* ends with NULL; the first is a path */
	uint64_t timeout_usec;	 /* for the command, or for its start if it stays */
	uint64_t stop_usec;	 /* for its end when it is stopped */
	/* It stays, bound to nothing: started again when a signal ends it, and seen as failed when
	 * it fails. Its name must be free, or of one that has failed before. */
	bool stays;
};
/* As unit_job_new(): the job is "done" when the command has ended with 0, or when it runs if it
 * stays. One that does not stay tells how it ended until unit_transient_end() or the end of the bus
 * connection. */
int unit_transient_new(sd_bus *bus, const struct unit_transient *order, unit_job_fn on_end,
		       void *userdata, struct unit_job **ret_job);
/* Lets go of it, or stops it before. Does not wait. */
void unit_transient_end(sd_bus *bus, const char *unit, bool stop);
/* As unit_transient_new(), and waits for the end of the job, as units_run_job(). */
int units_run_transient(sd_bus *bus, const struct unit_transient *order, struct problem *problem);
/* A unit that has no process and stays as long as the unit `follows` does: it is stopped and
 * restarted with that one, right before it or right `after` it has ended, and runs the command as
 * it stops. It is not there again after a restart unless the file `while_there` is. */
struct unit_follower {
	const char *name, *description, *follows, *while_there;
	bool after;
	const char *const *argv;
};
/* Makes it, and waits until it is there. One that is there already does as well. */
int units_run_follower(sd_bus *bus, const struct unit_follower *order, uint64_t timeout_usec,
		       struct problem *problem);
/* Stops it before its time, if it is there; does not wait. */
void units_end_follower(sd_bus *bus, const char *name);
