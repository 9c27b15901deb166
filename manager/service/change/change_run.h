/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drives one change (switchover, rollback, fail-over) of a service through the event loop. */
#pragma once

#include "service/change/change.h"
#include "service/request.h"
#include "service/service.h"

struct change_order {
	enum switchover_verb verb;
	int to; /* a slot, or GATE_STANDBY */
	uint64_t settle_usec, drain_usec;
	enum switchover_then then;
	/* told the end instead of who has asked; `uid` is who is behind it then */
	void (*on_end)(enum switchover_state state, const char *sentence, void *userdata);
	void *userdata;
	uint32_t uid;
};

/*
 * Asks the gate and begins: then the request (may be NULL) is taken, and answered at the end. A
 * refusal is no errno: `ret_answer` is not GATE_OPEN, `ret_refusal` is the sentence, nothing has
 * changed and the request stays the caller's.
 */
int change_run_start(struct service *service, const struct change_order *order,
		     struct request **request, enum gate_answer *ret_answer,
		     struct problem *ret_refusal);
/* Ends it without an answer from systemd; the traffic stays where it is. */
struct change_run *change_run_free(struct change_run *run);

/* The word or a slot's sockets have changed: look at once. */
void change_run_poke(struct change_run *run);
/* The slot is unhealthy: if this change has just brought it there, it is
 * undone. NULL is nobody. */
void change_run_on_unhealthy(struct change_run *run, unsigned slot, const char *reason);
unsigned change_run_from(const struct change_run *run);
/* "switchover", "rollback", "failover". */
const char *change_run_verb(const struct change_run *run);
/* EVENT_LOST. */
void change_run_heard(struct service *service, const struct event *event);
