/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The upgrade of a service whose slots are all at work (policy hash), slot by slot, as a state
 * machine. Pure, as core/change/upgrade.h, which is for those with one active slot. The new version
 * is on disk already. Of each slot:
 *
 *   LEAVE      its clients go to their second slots
 *   DRAIN      until its connections have ended, or the time for that has
 *   RESTART    it is restarted: it runs the new version
 *   READY      until it is ready, and by its probes healthy
 *   SMOKE      the operator's own test, against it alone
 *   PROBATION  its clients are back; whether it stays well
 *
 * and then of the next one; at last DONE. The first one that fails, and a cancel, end it as UNDONE:
 * that slot has no clients until it is ready, or, if it was tested, until it is taken back or
 * restarted, unless it was not touched yet or is well; those behind it were left alone. FAILED: it
 * could not even be told to leave.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/problem.h"

enum rolling_state {
	ROLLING_LEAVE,
	ROLLING_DRAIN,
	ROLLING_RESTART,
	ROLLING_READY,
	ROLLING_SMOKE,
	ROLLING_PROBATION,
	ROLLING_DONE,
	ROLLING_UNDONE,
	ROLLING_FAILED,
	ROLLING_STATE_COUNT
};

enum rolling_event {
	ROLLING_BEGIN,
	ROLLING_NOT_LEFT, /* its clients could not be given to others */
	ROLLING_JOB_DONE, /* systemd has restarted the slot */
	ROLLING_JOB_FAILED,
	ROLLING_LOOK, /* slots, health or time have changed: `ready`, `lost`, `left` are fresh */
	ROLLING_SMOKE_DONE,
	ROLLING_SMOKE_FAILED,
	ROLLING_CANCEL,
};

/* What the driver must do with rolling_slot(), as a bit mask. */
enum rolling_action {
	ROLLING_DO_HOLD = 1 << 0, /* it has no clients from now on */
	ROLLING_DO_RESTART = 1 << 1,
	ROLLING_DO_SMOKE = 1 << 2,
	ROLLING_DO_RELEASE = 1 << 3, /* it has its clients again */
	ROLLING_DO_PUT_OUT = 1 << 4, /* of service, until somebody takes it back */
	ROLLING_DO_TELL = 1 << 5,
	ROLLING_DO_END = 1 << 6,
};

struct rolling_plan {
	uint32_t slots; /* those that run, as a bit mask: from the lowest on */
	bool smoke;
	uint64_t settle_usec, drain_usec;
	uint64_t ready_usec; /* how long the new one may take to be ready once it has started */
	uint64_t smoke_usec;
	uint64_t probation_usec; /* of each slot */
};

struct rolling {
	struct rolling_plan plan;
	enum rolling_state state, failed_in;
	unsigned slot;	   /* that it is about */
	uint32_t to_come;  /* behind it */
	unsigned upgraded; /* how many slots have the new version, and are well */
	bool kept;	   /* undone: the slot has its clients, as it was not touched, or is well */
	uint64_t begun, entered, deadline;
	struct problem failure;
};

struct rolling_input {
	enum rolling_event event;
	uint64_t now;
	bool ready;    /* of the slot: and healthy if it is probed */
	bool lost;     /* it is not well, for the reason `why` */
	uint64_t left; /* connections that it has */
	const char *why;
};

/* At least one slot. */
void rolling_init(struct rolling *r, const struct rolling_plan *plan);
/* Returns the actions. */
unsigned rolling_step(struct rolling *r, const struct rolling_input *input);
/*
 * Takes up one whose driver is gone, at this slot and state: `ready` of the slot. What can be done
 * without the test, which nobody knows any more, goes on; else it ends. Returns the actions.
 */
unsigned rolling_resume(struct rolling *r, unsigned slot, enum rolling_state state, bool ready,
			uint64_t now);
uint64_t rolling_wake(const struct rolling *r);
bool rolling_ended(const struct rolling *r);
unsigned rolling_slot(const struct rolling *r);
/* "leave", "drain", "restart", "ready", "smoke", "probation", "done", "undone", "failed". */
const char *rolling_state_to_string(enum rolling_state state);
/* One line of progress for people. `left`: connections of the slot. */
void rolling_progress(const struct rolling *r, uint64_t left, struct problem *ret_line);
/* The sentence at the end. */
void rolling_describe(const struct rolling *r, const char *service, uint64_t now,
		      struct problem *ret_sentence);
