/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What state a slot is in, which role it has, and whether a change may send traffic to it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/watch/probe.h"
#include "hs_abi.h"
#include "util/problem.h"

/* A unit as systemd sees it, as far as it matters here. */
enum unit_state {
	UNIT_UNKNOWN, /* systemd has not been asked, or has not answered, or says what is not known
			 here */
	UNIT_DOWN,
	UNIT_STARTING,	 /* not yet reported ready */
	UNIT_START_POST, /* ready; ExecStartPost= runs */
	UNIT_RUNNING,	 /* active, reloading or refreshing */
	UNIT_STOPPING,
	UNIT_FAILED,
	UNIT_STATE_COUNT
};

enum slot_state {
	SLOT_UNKNOWN,	 /* see UNIT_UNKNOWN; its sockets, if it has any, are served */
	SLOT_DOWN,	 /* no instance */
	SLOT_STARTING,	 /* the instance has not reported ready */
	SLOT_READY,	 /* runs, and has a socket on every listener it must have */
	SLOT_INCOMPLETE, /* runs, but lacks a listener that the active slot serves */
	SLOT_UNADOPTED,	 /* runs, but none of its sockets can be switched (yet) */
	SLOT_SUSPECT,	 /* hangs, or did: serves again when it accepts, or as a new instance */
	SLOT_FULL,	 /* likewise, but it is at its limit: what it has in work goes on */
	SLOT_LEAVING,	 /* retired: finishes what it has, gets nothing new */
	SLOT_STOPPING,
	SLOT_FAILED,
	SLOT_STATE_COUNT
};

enum slot_role { ROLE_ACTIVE, ROLE_STANDBY, ROLE_CANARY, ROLE_COUNT };

struct slot_facts {
	enum unit_state unit;
	unsigned sockets; /* live, in the selector's map */
	bool incomplete;  /* a listener of the active slot is missing */
	bool retired;	  /* retire has run since the last adoption */
	bool suspect;	  /* it was found accepting nothing, */
	bool full;	  /* as far as can be seen because it has much to do */
	bool unproven;	  /* with UNIT_START_POST: commands of the unit's own are to say that it is
			     well */
};

enum slot_state slot_state_of(const struct slot_facts *facts);
enum slot_role slot_role_of(uint64_t word, unsigned slot);

/* "unknown", "down", "starting", "ready", ... / "active", "standby", "canary". */
const char *slot_state_to_string(enum slot_state state);
const char *slot_role_to_string(enum slot_role role);

/* ActiveState and SubState of systemd's org.freedesktop.systemd1.Unit, which get more words as
 * systemd grows: one that is not known says nothing, least of all that the unit is down. */
enum unit_state unit_state_from_strings(const char *active_state, const char *sub_state);

/* The slots of `states` that are ready, as a bit mask. */
uint32_t slots_ready(const enum slot_state *states, unsigned n);

/* Those of the slots in the mask that are not merely starting. */
uint32_t slots_proven(const enum slot_state *states, unsigned n, uint32_t mask);

/* The next ready slot after `active`, in a ring, never `active` itself; HS_SLOT_NONE when there is
 * none. */
unsigned slot_pick_standby(const enum slot_state *states, unsigned n, unsigned active);

/* What the probes say of a slot. */
struct slot_health {
	enum health_state state;
	const char *reason; /* in the probe's words; "" = none */
};
/* The same, but one that is known to be healthy rather than one that is not known, and that rather
 * than an unhealthy one. `health` of all slots; NULL: nobody asks them. */
unsigned slot_pick_fittest(const enum slot_state *states, const struct slot_health *health,
			   unsigned n, unsigned active);

/* Whether a switchover may begin. */
enum gate_answer {
	GATE_OPEN,
	GATE_BUSY,	 /* another change of the service runs */
	GATE_NO_STANDBY, /* no other slot is ready */
	GATE_NO_SUCH_SLOT,
	GATE_ALREADY_ACTIVE,
	GATE_NOT_READY,
	GATE_UNHEALTHY,	      /* its probes fail */
	GATE_UNPROVEN,	      /* its probes have not been good often enough yet */
	GATE_NOTHING_TO_UNDO, /* rollback without a switchover before it */
	GATE_PREVIOUS_GONE,   /* rollback: the old instance does not live any more */
	GATE_ANSWER_COUNT
};

#define GATE_STANDBY (-1) /* "to": whichever slot stands by */

struct gate_request {
	const enum slot_state *states;
	unsigned n;
	unsigned active;
	int to; /* a slot, or GATE_STANDBY */
	bool busy;
	const struct slot_health *health; /* NULL: not asked for */
	bool take_unhealthy;		  /* if there is none better */
};
/* `ret_to`: the slot to switch to, set when the gate is open; on refusal the slot that was looked
 * at, or HS_SLOT_NONE. */
enum gate_answer gate_check(const struct gate_request *request, unsigned *ret_to);

/* The refusal as a sentence: service, slot, reason, remedy. `state`: of slot `to`, where that
 * matters. */
void gate_describe(enum gate_answer answer, const char *service, unsigned to, enum slot_state state,
		   struct problem *ret_sentence);
/* Of a front, whose slots are hosts. */
void gate_describe_front(enum gate_answer answer, const char *service, unsigned to,
			 enum slot_state state, struct problem *ret_sentence);
