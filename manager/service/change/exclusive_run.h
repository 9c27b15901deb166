/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drives the switchover of an exclusive service (core/change/exclusive.h) through the event loop.
 */
#pragma once

#include "core/change/exclusive.h"
#include "service/request.h"
#include "service/service.h"

struct exclusive_run;

struct exclusive_order {
	enum switchover_verb verb;
	int to; /* a slot, or GATE_STANDBY */
	uint64_t drain_usec;
	uint64_t
		ready_usec; /* see core/change/exclusive.h; 0 = as long as the unit itself allows */
	const char *smoke;  /* a command line for the shell; "" or NULL = none */
	uint64_t smoke_usec;
	bool smoke_may_be_silent;
	/* told the end instead of who has asked; `uid` is who is behind it then */
	void (*on_end)(const struct exclusive *machine, void *userdata);
	void *userdata;
	uint32_t uid;
};

/* Asks the gate and begins, as change_run_start(). */
int exclusive_run_start(struct service *service, const struct exclusive_order *order,
			struct request **request, enum gate_answer *ret_answer,
			struct problem *ret_refusal);
/* Whether one may begin, from which slot and to which. */
enum gate_answer exclusive_run_may(const struct service *service,
				   const struct exclusive_order *order, unsigned *ret_from,
				   unsigned *ret_to, struct problem *ret_refusal);
/* Back from slot `from`, in whatever state it is, to the order's: without a gate, as that would
 * refuse to leave an instance that is gone; and without proof. -errno when it cannot begin. */
int exclusive_run_back(struct service *service, const struct exclusive_order *order, unsigned from);
/* Back, as long as the new one has not taken over. */
void exclusive_run_cancel(struct exclusive_run *run, const char *why);
struct exclusive_run *exclusive_run_free(struct exclusive_run *run);

/* This slot's state has been read anew, or may have changed (HS_SLOT_NONE: some slot's, or its
 * health): look at once. */
void exclusive_run_poke(struct exclusive_run *run, unsigned slot);
/* One runs, and holds connections: nobody else may let them go, or hold others. */
bool exclusive_run_blocks(const struct service *service, struct problem *ret_refusal);
/* Shows how far it is. */
void exclusive_run_tell(struct exclusive_run *run);
const char *exclusive_run_verb(const struct exclusive_run *run);
/* For so long a new instance may take to be proven unless somebody says otherwise: clients wait
 * meanwhile, and the way back must fit into their patience, too. */
uint64_t exclusive_ready_default(const struct service *service);
/* Slots that run at the same time though only one may; empty when all is well. */
void exclusive_check(const struct service *service, struct problem *ret_problem);
/* EVENT_ADOPTED, EVENT_UNIT_CHANGED, EVENT_VERDICT; and what an earlier hsd has left is gone on
 * with as soon as systemd has told of all slots. */
void exclusive_run_heard(struct service *service, const struct event *event);
