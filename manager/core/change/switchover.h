/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switchover as a state machine. Pure: it is told events and the time, and answers with what to
 * do and when to be told again. Whoever drives it (hsd, or hsctl without hsd) carries that out.
 *
 *   FLIP    -> SETTLE    the word names the new slot
 *   SETTLE  -> DRAIN     handshakes in flight at the flip have finished where they began
 *   DRAIN   -> FINISH    the old instance's connections have ended, or the deadline has passed
 *   FINISH  -> DONE      the old instance is kept, stopped or restarted
 *
 * A target that dies before FINISH ends it as UNDONE: traffic is back on the old slot. Every state
 * has a deadline.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/problem.h"

enum switchover_verb { VERB_SWITCHOVER, VERB_ROLLBACK, VERB_FAILOVER, VERB_COUNT };
enum switchover_then { THEN_KEEP, THEN_STOP, THEN_RESTART, THEN_COUNT };

enum switchover_state {
	SWITCHOVER_FLIP,
	SWITCHOVER_SETTLE,
	SWITCHOVER_DRAIN,
	SWITCHOVER_FINISH,
	SWITCHOVER_DONE,
	SWITCHOVER_UNDONE, /* traffic is where it was before */
	SWITCHOVER_FAILED, /* see `failure` */
	SWITCHOVER_STATE_COUNT
};

enum switchover_event {
	SWITCHOVER_BEGIN,
	SWITCHOVER_FLIPPED,
	SWITCHOVER_NOT_FLIPPED, /* somebody else changed the word first */
	SWITCHOVER_TICK,	/* the time asked for has come; `remaining` is fresh */
	SWITCHOVER_TARGET_LOST, /* the new slot has no live socket, or the word was flipped away */
	SWITCHOVER_BOTH_LOST,	/* as before, and there is no old instance to go back to */
	SWITCHOVER_OLD_DONE,	/* stopped or restarted as asked */
	SWITCHOVER_OLD_FAILED,
};

/* What the driver must do, as a bit mask, in this order. */
enum switchover_action {
	SWITCHOVER_DO_FLIP = 1 << 0,
	SWITCHOVER_DO_BOUNCE = 1 << 1, /* move the old slot's queue */
	SWITCHOVER_DO_STOP = 1 << 2,   /* the old slot's unit */
	SWITCHOVER_DO_RESTART = 1 << 3,
	SWITCHOVER_DO_TELL = 1 << 4, /* show progress: the state, or the remaining count, is new */
	SWITCHOVER_DO_END = 1 << 5,
};

struct switchover_plan {
	enum switchover_verb verb;
	unsigned from, to; /* from may be HS_SLOT_NONE */
	uint64_t settle_usec, drain_usec;
	enum switchover_then then;
	bool bounce; /* move the old queue after settling: fail-over from an instance that may hang
		      */
};

struct switchover {
	struct switchover_plan plan;
	enum switchover_state state;
	uint64_t begun, entered, deadline; /* microseconds, the driver's clock */
	uint64_t remaining;		   /* connections on the old slot, as last told */
	const char *failure;		   /* static text, for SWITCHOVER_FAILED */
	struct problem unwell; /* SWITCHOVER_UNDONE: what was wrong with the new slot; empty = it
				* was lost */
};

struct switchover_input {
	enum switchover_event event;
	uint64_t now;	    /* microseconds, monotonic */
	uint64_t remaining; /* connections that the old slot still has */
	const char *why; /* with SWITCHOVER_TARGET_LOST: it lives, but is not well; static text with
			  * SWITCHOVER_NOT_FLIPPED, if that is not the reason; else NULL */
};

void switchover_init(struct switchover *s, const struct switchover_plan *plan);
/* Returns the actions. */
unsigned switchover_step(struct switchover *s, const struct switchover_input *input);
/* When to send the next SWITCHOVER_TICK; USEC_INFINITY when it has ended. */
uint64_t switchover_wake(const struct switchover *s, uint64_t now);
bool switchover_ended(const struct switchover *s);

/* "flip", "settle", "drain", then what becomes of the old instance ("keep", "stop", "restart"); and
 * how it ended: "done", "undone", "failed". */
const char *switchover_step_name(const struct switchover *s);
const char *switchover_verb_to_string(enum switchover_verb verb);
const char *switchover_then_to_string(enum switchover_then then);
/* By number. */
extern const char *const switchover_then_names[THEN_COUNT];
/* THEN_COUNT when there is no such word. */
enum switchover_then switchover_then_from_string(const char *text);

/* Figures of a finished change. */
struct switchover_result {
	uint64_t duration_usec;
	uint64_t flip_nsec;
	uint64_t moved;	    /* waiting connections that the kernel moved to the new slot */
	uint64_t finished;  /* connections that ended on the old slot since the flip */
	uint64_t remaining; /* still there */
};

/* The one sentence at the end: from, to, how long, how many moved, how many finished. */
void switchover_describe(const struct switchover *s, const char *service,
			 const struct switchover_result *result, struct problem *ret_sentence);
/* One line of progress for people, such as "drain: 12 connections left on slot 0". */
void switchover_progress(const struct switchover *s, struct problem *ret_line);
