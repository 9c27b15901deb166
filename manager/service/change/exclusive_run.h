/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The switchover of an exclusive service (core/change/exclusive.h), driven by service/change/run.h.
 */
#pragma once

#include "core/change/exclusive.h"
#include "service/change/run.h"

struct exclusive_order {
	enum switchover_verb verb;
	int to; /* a slot, or GATE_STANDBY */
	uint64_t drain_usec;
	uint64_t
		ready_usec; /* see core/change/exclusive.h; 0 = as long as the unit itself allows */
	const char *smoke;  /* a command line for the shell; "" or NULL = none */
	uint64_t smoke_usec;
	bool smoke_may_be_silent;
	bool of_upgrade; /* it is a part of the one that runs */
	/* who is behind it, if there is no request; NULL = nobody */
	const struct journal_actor *by;
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
void exclusive_run_cancel(struct service *service, const char *why);
/* What has come of it. */
const struct exclusive *exclusive_run_machine(const struct run *run);

/* One runs, and holds connections: nobody else may let them go, or hold others. */
bool exclusive_run_blocks(const struct service *service, struct problem *ret_refusal);
/* For so long a new instance may take to be proven unless somebody says otherwise: clients wait
 * meanwhile, and the way back must fit into their patience, too. */
uint64_t exclusive_ready_default(const struct service *service);
/* Slots that run at the same time though only one may; empty when all is well. */
void exclusive_check(const struct service *service, struct problem *ret_problem);
/* EVENT_UNIT_CHANGED: what an earlier hsd has left is gone on with as soon as systemd has told of
 * all slots. */
void exclusive_run_heard(struct service *service, const struct event *event);
