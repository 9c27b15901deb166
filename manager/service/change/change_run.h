/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The switchover, rollback or fail-over of a service, driven by service/change/run.h. */
#pragma once

#include "service/change/change.h"
#include "service/change/run.h"

struct change_order {
	enum switchover_verb verb;
	int to; /* a slot, or GATE_STANDBY */
	uint64_t settle_usec, drain_usec;
	enum switchover_then then;
	bool of_upgrade; /* it is a part of the one that runs */
	/* who is behind it, if there is no request; NULL = nobody */
	const struct journal_actor *by;
};

/*
 * Asks the gate and begins: then the request (may be NULL) is taken, and answered at the end. A
 * refusal is no errno: `ret_answer` is not GATE_OPEN, `ret_refusal` is the sentence, nothing has
 * changed and the request stays the caller's.
 */
int change_run_start(struct service *service, const struct change_order *order,
		     struct request **request, enum gate_answer *ret_answer,
		     struct problem *ret_refusal);

/* The slot is unhealthy: if a change has just brought it there, it is undone. */
void change_run_on_unhealthy(struct service *service, unsigned slot, const char *reason);
