/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The upgrade of a service as a state machine. Pure: it is told events and the time, and answers
 * with what to do. The new version is on disk already; `to` is the slot that stands by now.
 *
 *   RESTART    the standby is restarted, when the connections that it has left have ended or had
 *              their time: it runs the new version
 *   READY      until it is ready, and by its probes healthy
 *   SMOKE      the operator's own test, against it alone
 *   CANARY     a share of the new connections, step by step
 *   SWITCH     a switchover
 *   PROBATION  whether the new one stays well
 *   REFRESH    the old slot is restarted: the fresh standby; then further ones that run, if any
 *   DONE
 *
 * Of an exclusive service, whose slots must not run together, it is
 *
 *   SWITCH     an exclusive switchover (core/change/exclusive.h): the old one stops,
 *              the new version starts in the other slot, and is ready, healthy and
 *              tested before clients get there
 *   PROBATION  as above
 *   DONE       the old slot stays down
 *
 * and UNDO is an exclusive switchover back: the old slot starts with what is installed for it then.
 *
 * Whatever fails, and a cancel, leads to UNDO: traffic goes back to where it was, and the upgrade
 * ends as UNDONE. From REFRESH on there is no way back by itself: the old instance is gone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/problem.h"

#define UPGRADE_CANARY_STEPS_MAX 8

enum upgrade_state {
	UPGRADE_RESTART,
	UPGRADE_READY,
	UPGRADE_SMOKE,
	UPGRADE_CANARY,
	UPGRADE_SWITCH,
	UPGRADE_PROBATION,
	UPGRADE_REFRESH,
	UPGRADE_UNDO,
	UPGRADE_DONE,
	UPGRADE_UNDONE,
	UPGRADE_FAILED, /* see `failure`: traffic may not be where it was */
	UPGRADE_STATE_COUNT
};

enum upgrade_event {
	UPGRADE_BEGIN,
	UPGRADE_JOB_DONE,   /* systemd has restarted what was asked for */
	UPGRADE_JOB_FAILED, /* or could not */
	UPGRADE_LOOK,	    /* slots, health or time have changed: `ready`, `lost` are fresh */
	UPGRADE_LEFT_ALONE, /* the old slot still has connections and is to keep them */
	UPGRADE_SMOKE_DONE,
	UPGRADE_SMOKE_FAILED,
	UPGRADE_SWITCHED,
	UPGRADE_NOT_SWITCHED, /* the switchover was refused, undone or failed */
	UPGRADE_BACK,	      /* undoing has ended: traffic is on the old slot */
	UPGRADE_NOT_BACK,
	UPGRADE_CANCEL,
};

/* What the driver must do, as a bit mask. */
enum upgrade_action {
	UPGRADE_DO_RESTART_NEW = 1 << 0, /* the unit of slot `to` */
	UPGRADE_DO_SMOKE = 1 << 1,
	UPGRADE_DO_CANARY = 1 << 2, /* the share upgrade_share() */
	UPGRADE_DO_SWITCH = 1 << 3,
	UPGRADE_DO_RESTART_OLD = 1 << 4, /* the unit of the slot upgrade_slot() */
	/* end the canary, the smoke test and the switchover if one runs; flip back if `to` is
	 * active. Then UPGRADE_BACK */
	UPGRADE_DO_UNDO = 1 << 5,
	UPGRADE_DO_TELL = 1 << 6,
	UPGRADE_DO_END = 1 << 7,
};

struct upgrade_plan {
	unsigned from, to; /* `from` is active when it begins */
	bool exclusive;	   /* then `smoke` and the canary mean nothing here */
	uint32_t others;   /* further slots that run, as a bit mask: they are refreshed, too */
	/* how long connections of slots that stand by are waited for, before these are restarted;
	 * and that they keep those that are left then */
	uint64_t drain_usec;
	bool keep;
	bool smoke;
	unsigned n_canary;
	uint32_t canary[UPGRADE_CANARY_STEPS_MAX]; /* shares in 1/65536 */
	uint64_t hold_usec;			   /* of each share */
	uint64_t ready_usec;			   /* how long the new one may take to be ready */
	/* the same from when it starts; 0 = until then, the timeouts of its unit are what counts */
	uint64_t start_usec;
	uint64_t smoke_usec;
	uint64_t probation_usec;
};

struct upgrade {
	struct upgrade_plan plan;
	enum upgrade_state state, failed_in;
	unsigned step;			   /* of the canary */
	unsigned refreshing;		   /* in REFRESH: this slot */
	uint32_t to_refresh;		   /* and then these, as a bit mask */
	bool starting;			   /* RESTART: the old one has stopped */
	bool restarted;			   /* REFRESH: by systemd; it may not be ready yet */
	bool draining;			   /* RESTART, REFRESH: the slot has connections yet */
	uint64_t left;			   /* so many */
	uint32_t left_alone;		   /* these slots were, with the old version */
	uint64_t begun, entered, deadline; /* microseconds, the driver's clock */
	const char *failed_step;	   /* of the switchover; NULL = `failed_in` tells enough */
	bool untouched;			   /* undone, and the old instance never stopped */
	bool resumed;			   /* then that is not known */
	struct problem failure;		   /* why it is undone, or has failed */
	struct problem no_way_back;	   /* why it could not be undone; "" = nothing is known */
};

struct upgrade_input {
	enum upgrade_event event;
	uint64_t now;
	/* of the slot upgrade_slot(): ready, and healthy if it is probed */
	bool ready;
	bool starting; /* its new instance has been started, and has not reported ready */
	uint64_t left; /* with BEGIN, and while it is draining: connections of that slot */
	bool taken;    /* `from` is not the active one any more */
	bool ill;      /* `from` is unhealthy, and `to` well: who is to be left is left for it */
	/* of slot `to`: it was ready in this upgrade and is not any more: crashed, unhealthy, hangs
	 */
	bool lost;
	const char *why; /* with LOOK and lost, and the failures: a sentence; may be NULL */
	/* of an exclusive switchover, with NOT_SWITCHED, BACK, NOT_BACK: in which step it failed,
	 * static text, may be NULL; and that the old instance never stopped */
	const char *step;
	bool untouched;
};

void upgrade_init(struct upgrade *u, const struct upgrade_plan *plan);
/* Returns the actions. */
unsigned upgrade_step(struct upgrade *u, const struct upgrade_input *input);
/*
 * Takes up an upgrade whose driver is gone: it was in `state`. When the new slot has taken over and
 * is well (`serves`) it goes on to its end, else it is undone. Returns the actions.
 */
unsigned upgrade_resume(struct upgrade *u, enum upgrade_state state, bool serves, uint64_t now);
/* When to send the next UPGRADE_LOOK at the latest; USEC_INFINITY when it has ended. */
uint64_t upgrade_wake(const struct upgrade *u);
bool upgrade_ended(const struct upgrade *u);
/* Whether a cancel can still bring traffic back to where it was. */
bool upgrade_can_undo(const struct upgrade *u);
/* The slot that it is about now: the one that gets the new version. */
unsigned upgrade_slot(const struct upgrade *u);
/* Of the canary, in 1/65536; 0 before and after. */
uint32_t upgrade_share(const struct upgrade *u);
/* "restart", "ready", "smoke", "canary", ... */
const char *upgrade_state_to_string(enum upgrade_state state);
/* UPGRADE_STATE_COUNT when there is no such word. */
enum upgrade_state upgrade_state_from_string(const char *text);
/* One line of progress for people. `remaining`: connections that the old slot still has. */
void upgrade_progress(const struct upgrade *u, uint64_t now, uint64_t remaining,
		      struct problem *ret_line);
/* The sentence at the end. */
void upgrade_describe(const struct upgrade *u, const char *service, uint64_t now,
		      struct problem *ret_sentence);
