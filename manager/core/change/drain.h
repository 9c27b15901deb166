/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A slot is taken out of service and its connections are waited for, as a state machine. Pure, like
 * core/change/switchover.h.
 *
 *   LEAVE   until new connections go elsewhere, and what waited was moved
 *   WAIT    until its connections have ended, or the deadline has passed
 *   FINISH  what is left is ended: its unit is stopped, or they are reset
 *   DONE
 *
 * UNDONE: it is in service, as it was taken back before its connections had ended.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/problem.h"

enum drain_state {
	DRAIN_LEAVE,
	DRAIN_WAIT,
	DRAIN_FINISH,
	DRAIN_DONE,
	DRAIN_UNDONE,
	DRAIN_FAILED,
	DRAIN_STATE_COUNT
};

enum drain_event {
	DRAIN_LOOK,  /* the time has come, or the slot has changed: what follows it is fresh */
	DRAIN_ENDED, /* what was to end them has come to its end */
	DRAIN_NOT_ENDED,
	DRAIN_CANCEL,
};

/* What the driver must do, as a bit mask, in this order. */
enum drain_action {
	DRAIN_DO_LEAVE = 1 << 0,
	DRAIN_DO_EXAMINE = 1 << 1, /* those that are left at the deadline, before they are ended */
	DRAIN_DO_TELL = 1 << 2,
	DRAIN_DO_END = 1 << 3,	 /* the machine has ended */
	DRAIN_DO_STOP = 1 << 4,	 /* the unit */
	DRAIN_DO_RESET = 1 << 5, /* the connections */
};

struct drain_plan {
	unsigned slot;
	uint64_t patience_usec;
	unsigned at_deadline; /* DRAIN_DO_STOP, DRAIN_DO_RESET, or 0: they are kept */
};

struct drain {
	struct drain_plan plan;
	enum drain_state state;
	uint64_t begun, entered, deadline; /* microseconds, the driver's clock */
	uint64_t told;			   /* when it was shown last how far it is */
	uint64_t at_first, left;	   /* connections, and clients of UDP */
	uint64_t reset;			   /* of those */
	bool begun_to_leave;
	bool ended_them; /* what was left at the deadline */
	struct problem failure;
};

struct drain_input {
	enum drain_event event;
	uint64_t now;
	bool is_busy;	     /* it cannot begin to leave yet */
	bool is_leaving;     /* that is under way */
	bool is_out;	     /* the slot is out of service, or has nothing that could be in it */
	uint64_t left;	     /* connections that it has, and clients of UDP */
	uint64_t reset;	     /* with DRAIN_ENDED: so many were */
	const char *failure; /* with DRAIN_NOT_ENDED: a sentence */
};

/* All of these return the actions. */
unsigned drain_begin(struct drain *d, const struct drain_plan *plan,
		     const struct drain_input *input);
/* One that another has begun: the slot has left. */
unsigned drain_resume(struct drain *d, const struct drain_plan *plan,
		      const struct drain_input *input);
unsigned drain_step(struct drain *d, const struct drain_input *input);
/* When to send the next DRAIN_LOOK; USEC_INFINITY when it has ended. */
uint64_t drain_wake(const struct drain *d, uint64_t now);
/* Whether nothing was done yet to those that are left. */
bool drain_can_cancel(const struct drain *d);

/* "leave", "drain", "stop" or "reset", "done", "undone", "failed". */
const char *drain_step_name(const struct drain *d);
/* Once it is done: "drained", "stopped", "reset", "kept". */
const char *drain_outcome(const struct drain *d);
/* One line of progress for people. */
void drain_progress(const struct drain *d, uint64_t now, struct problem *ret_line);

/* What the machine does not know. */
struct drain_rest {
	bool blind;	     /* clients of UDP could not be listed */
	uint64_t clients;    /* of UDP, of those that are left */
	bool front;	     /* the slot is a host */
	const char *details; /* of those that were left at the deadline: sentences, or "" */
};
/* The sentence at the end. */
void drain_describe(const struct drain *d, const char *service, const struct drain_rest *rest,
		    struct problem *ret_sentence);
