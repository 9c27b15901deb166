/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of service/upgrade/upgrade_run.h share. */
#pragma once

#include "core/change/upgrade.h"
#include "service/change/run.h"

struct upgrade_order {
	const char *smoke; /* a command line for the shell; "" = none */
	bool smoke_may_be_silent;
	unsigned n_canary; /* that were asked for: those beyond the maximum are not in here */
	uint32_t canary[UPGRADE_CANARY_STEPS_MAX]; /* in 1/65536 */
	uint64_t hold_usec, probation_usec, smoke_usec;
	uint64_t ready_usec; /* USEC_INFINITY: nobody has said */
};

/* One upgrade on its way. */
struct upgrade_run {
	struct run run;
	struct upgrade machine;
	char from_run[33];	/* the old instance, by its invocation id; "" = not known */
	struct request *recall; /* of who has it rolled back; NULL: nobody */
	struct work *reset;	/* of what is left on a slot that is to be restarted: */
	unsigned resetting;
	bool unproven; /* the switchover waits until its probes have said enough */
	uint64_t told; /* when it was shown last how far it is */
	/* of the exclusive switchover: no slot could be started; the old one never stopped */
	bool neither, untouched;
};

/* One that is to begin with its machine at the start. NULL: out of memory. */
struct upgrade_run *upgrade_run_new(struct service *service, const struct upgrade_order *order,
				    unsigned from, unsigned to);
/* Why a slot is not well, as a sentence; false when it is. `was_ready`: in this upgrade, so that it
 * has its sockets no more, and not: not yet; and that nothing is known of its health is nothing
 * against it. */
bool upgrade_is_unwell(const struct service *service, unsigned slot, bool was_ready,
		       struct problem *ret_why);
/* Why the slot that it is about is not well, as a sentence; false when it is. */
bool upgrade_run_is_unwell(const struct upgrade_run *upgrade, struct problem *ret_why);
