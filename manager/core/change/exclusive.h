/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switchover of a service of which only one instance may run at a time (Exclusive=yes), as a
 * state machine. Pure, like core/change/switchover.h: it is told events and the time, and answers
 * with what to do.
 *
 *   HOLD      new connections wait in the park; with a drain time, the old ones may end
 *   STOP      the old instance stops; what waited on it moves to the park
 *   START     the new instance starts and is adopted
 *   PROVE     until its probes find it healthy; they reach it though all others wait
 *   SMOKE     the operator's own test, likewise
 *   DONE      what waits goes to it
 *
 *   STOP_NEW  it did not come, or is no good: it is stopped, whatever it does
 *   START_OLD the old slot is started again, with the version that is installed for it by now
 *   UNDONE    what waits goes to that
 *
 * FAILED: neither came. What waits goes on waiting, for whichever is started next.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/change/slot.h"
#include "core/change/switchover.h"
#include "util/problem.h"

enum exclusive_state {
	EXCLUSIVE_HOLD,
	EXCLUSIVE_STOP,
	EXCLUSIVE_START,
	EXCLUSIVE_PROVE,
	EXCLUSIVE_SMOKE,
	EXCLUSIVE_STOP_NEW,
	EXCLUSIVE_START_OLD,
	EXCLUSIVE_DONE,
	EXCLUSIVE_UNDONE,
	EXCLUSIVE_FAILED,
	EXCLUSIVE_STATE_COUNT
};

enum exclusive_event {
	EXCLUSIVE_TICK,	    /* the time has come, or a slot's state or health has changed */
	EXCLUSIVE_JOB_DONE, /* a unit's; or, in SMOKE, the test's */
	EXCLUSIVE_JOB_FAILED,
	EXCLUSIVE_CANCEL, /* back, as long as the new one has not taken over */
};

/* What the driver must do, as a bit mask, in this order. */
enum exclusive_action {
	EXCLUSIVE_DO_HOLD = 1 << 0,
	EXCLUSIVE_DO_STOP_OLD = 1 << 1, /* jobs: one at a time, the last one counts */
	EXCLUSIVE_DO_START_NEW = 1 << 2,
	EXCLUSIVE_DO_STOP_NEW = 1 << 3,
	EXCLUSIVE_DO_START_OLD = 1 << 4,
	EXCLUSIVE_DO_SMOKE = 1 << 5,   /* likewise a job */
	EXCLUSIVE_DO_RELEASE = 1 << 6, /* and make the slot that came the active one */
	EXCLUSIVE_DO_TELL = 1 << 7,
	EXCLUSIVE_DO_END = 1 << 8,
};

struct exclusive_plan {
	enum switchover_verb verb;
	unsigned from, to;
	uint64_t drain_usec;
	bool resumed; /* an earlier manager began it */
	bool prove, smoke;
	/* how long the new one may take from its start until it is proven; and of that, how long
	 * each step after its unit has started */
	uint64_t ready_usec, late_usec;
	uint64_t smoke_usec; /* and of that, the test */
	uint64_t park_usec;  /* how long each connection may wait; only to be told. 0 = do not */
};

struct exclusive {
	struct exclusive_plan plan;
	enum exclusive_state state;
	uint64_t begun, entered, deadline; /* microseconds, the driver's clock */
	uint64_t ready_by;		   /* likewise, from START on */
	uint64_t remaining;		   /* connections on the old slot, as last told */
	uint32_t waiting;		   /* in the park, as last told; or QUEUED_UNKNOWN */
	bool job_done;			   /* of this state */
	bool touched;			   /* the old instance was told to stop, or had been */
	enum exclusive_state failed_in;
	struct problem failure; /* why the new one does not take over; empty = nothing is wrong */
};

struct exclusive_input {
	enum exclusive_event event;
	uint64_t now;
	uint64_t remaining;		    /* connections that the old slot still has */
	uint32_t waiting;		    /* connections in the park, or QUEUED_UNKNOWN */
	enum slot_state old_slot, new_slot; /* now */
	bool healthy;			    /* the new one, by its probes */
	const char *why; /* a sentence: why it is not healthy, why the test failed, why it is
			  * cancelled; may be NULL */
};

/* Begins at HOLD, or where an earlier manager was. Returns the actions. */
unsigned exclusive_begin(struct exclusive *e, const struct exclusive_plan *plan,
			 enum exclusive_state state, uint64_t now);
unsigned exclusive_step(struct exclusive *e, const struct exclusive_input *input);
/* When to send the next EXCLUSIVE_TICK; USEC_INFINITY when it has ended. */
uint64_t exclusive_wake(const struct exclusive *e, uint64_t now);
bool exclusive_ended(const struct exclusive *e);

/* Where a manager goes on that finds the work of another half done. EXCLUSIVE_UNDONE: nothing is
 * left to do but to let the connections go. `ret_to`: the slot that is, or was to be, the new one.
 */
enum exclusive_state exclusive_resume(const enum slot_state *states, unsigned n, unsigned from,
				      unsigned *ret_to);

/* "hold", "drain", "stop", "start", "ready", "smoke", "stop-new", "start-old", "done", "undone",
 * "failed". */
const char *exclusive_step_name(const struct exclusive *e);
const char *exclusive_state_to_string(enum exclusive_state state);
void exclusive_progress(const struct exclusive *e, struct problem *ret_line);
/* The sentence at the end. `waited`: connections that were let go, or QUEUED_UNKNOWN. */
void exclusive_describe(const struct exclusive *e, const char *service, uint64_t now,
			uint32_t waited, struct problem *ret_sentence);

/* Whether it may begin: the active slot is ready and all others are down. */
struct exclusive_request {
	const enum slot_state *states;
	unsigned n, active;
	int to; /* a slot, or GATE_STANDBY */
	bool busy, park;
	bool mptcp; /* it may listen by MPTCP (MPTCP=keep), and such a listener is not adopted */
};
enum gate_answer exclusive_gate(const struct exclusive_request *request, const char *service,
				unsigned *ret_to, struct problem *ret_refusal);

/* A slot in this state has, or may have, an instance. */
bool exclusive_is_up(enum slot_state state);
