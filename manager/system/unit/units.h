/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Units of systemd, over its bus: their state once (for hsctl without hsd), their state as it
 * changes and jobs (for hsd; nothing here blocks an event loop but units_query and units_run_job).
 */
#pragma once

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "core/change/slot.h"
#include "core/name.h"
#include "core/watch/ending.h"
#include "util/problem.h"

struct unit_facts {
	enum unit_state state;
	pid_t main_pid;		      /* 0 = none */
	char control_group[PATH_MAX]; /* as systemd names it; "" = none */
	uint64_t since_usec;	      /* CLOCK_REALTIME of the last change of ActiveState */
	char **triggered_by;	      /* units that start it, ending with NULL; may be NULL */
	char **required;	      /* Requires= BindsTo= Requisite= together; may be NULL */
	char user[UNIT_NAME_MAX];     /* User=, or the name of its dynamic user; "" = root */
	bool dynamic_user;
	/* its control group lets not everything through: IPAddressDeny=, IPIngressFilterPath=,
	 * IPEgressFilterPath=, RestrictNetworkInterfaces= */
	bool filtered;
	char invocation[33];	/* hex id of this run of the unit; "" = never started */
	bool job_pending;	/* systemd has a job for it: to start, stop or restart it */
	struct ending ending;	/* of the main process, once it has ended */
	bool conditions;	/* it is starting, and ExecCondition= runs */
	bool reloading;		/* its job is a reload, and ends nothing */
	bool has_stop_commands; /* ExecStop= has more than the one that retires it */
	bool has_post_commands; /* ExecStartPost= has more than the one that adopts it */
	bool was_active;	/* this run, or the last one, has reported ready */
	uint64_t ready_usec;	/* CLOCK_MONOTONIC: when one has done so last; 0 = never */
};

void unit_facts_done(struct unit_facts *facts);

/* ".socket" behind. */
bool unit_is_socket(const char *unit);
/* There are processes that can be told something: it runs, or its stop has not come to its main
 * process. */
bool unit_lives(const struct unit_facts *facts);
/* Whether a socket unit starts it. */
bool unit_has_socket(const struct unit_facts *facts);

/* Whether a signal on the connection comes from systemd. A match does not say so: anybody may send
 * a signal to one connection alone. */
bool units_are_heard(sd_bus *bus, sd_bus_message *signal);

/* Asks once and waits for the answer. A unit that does not exist is UNIT_DOWN. */
int units_query(sd_bus *bus, const char *unit, struct unit_facts *ret_facts,
		struct problem *problem);

enum unit_action {
	UNIT_START,
	UNIT_STOP,
	UNIT_RESTART,
	/* stop, unless systemd has other plans with it: a start that is queued is not cancelled */
	UNIT_LET_GO,
};

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

/* ---- without waiting ---- */

struct unit_watch;

/* `facts` are fresh. Called after every change that systemd reports and after unit_watch_refresh();
 * `error` is not 0 when systemd could not be asked, and the facts are the old ones then. It is
 * asked again, after one second at first and after half a minute at last, and when it is back on
 * the bus.
 */
typedef void (*unit_changed_fn)(const struct unit_facts *facts, int error, void *userdata);

int unit_watch_new(sd_bus *bus, const char *unit, unit_changed_fn on_changed, void *userdata,
		   struct unit_watch **ret_watch);
struct unit_watch *unit_watch_free(struct unit_watch *watch);
/* Asks systemd anew, before the questions that nobody waits for; the answer comes by the callback.
 */
void unit_watch_refresh(struct unit_watch *watch);
const struct unit_facts *unit_watch_facts(const struct unit_watch *watch);
/* From now on its processes are said to be there, as long as it is not down; "" = where systemd
 * says. Kept as long as the watch. */
void unit_watch_set_cgroup(struct unit_watch *watch, const char *cgroup);
/* The same for facts that were asked for once. */
void unit_facts_set_cgroup(struct unit_facts *facts, const char *cgroup);

struct unit_job;

/* May be NULL: then nobody is told. `result` as systemd words it: "done", "failed", "canceled",
 * "timeout", ...; "unknown" when systemd was away from the bus when it ended. `problem` has a
 * sentence then, and when the job could not even be made. Called once. The job object is freed
 * after the call. */
typedef void (*unit_job_fn)(const char *result, const struct problem *problem, void *userdata);

int unit_job_new(sd_bus *bus, enum unit_action action, const char *unit, unit_job_fn on_end,
		 void *userdata, struct unit_job **ret_job);
/* The same for any call of systemd's manager that answers with a job. */
int unit_job_send(sd_bus *bus, sd_bus_message *order, unit_job_fn on_end, void *userdata,
		  struct unit_job **ret_job);
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
/* systemd has made it: it runs, or waits for its turn. */
bool unit_job_is_made(const struct unit_job *job);
/* Forgets the job without a callback; systemd goes on with it. */
struct unit_job *unit_job_free(struct unit_job *job);

/* Sends a signal to the main process of a unit (KillUnit, "main"); the answer comes by `on_answer`,
 * unless `ret_call` is unreferenced before. */
int units_signal_main(sd_bus *bus, const char *unit, int signal, sd_bus_message_handler_t on_answer,
		      void *userdata, sd_bus_slot **ret_call);

/* Lets all processes of the unit go on that were stopped (SIGCONT); does not wait. systemd does so
 * with the main process only before it ends a unit. */
void units_continue(sd_bus *bus, const char *unit);
