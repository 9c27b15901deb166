/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drives the upgrade of a service through the event loop: core/upgrade.h says what comes when. */
#pragma once

#include "core/upgrade.h"
#include "hsd/service.h"

struct upgrade_order {
	const char *smoke; /* a command line for the shell; "" = none */
	unsigned n_canary;
	uint32_t canary[UPGRADE_CANARY_STEPS_MAX]; /* in 1/65536 */
	uint64_t hold_usec, probation_usec, ready_usec;
};

/* Asks the gate and begins; `message` is answered at the end. As change_run_start(). */
int upgrade_run_start(struct service *service, const struct upgrade_order *order,
		      sd_bus_message *message, enum gate_answer *ret_answer,
		      struct problem *ret_refusal);
/* hsd has come back in the middle of one, as the control map says: finishes it if the new slot has
 * taken over and is well, else undoes it. Called when the slots' states are known. */
void upgrade_run_resume(struct service *service);
/* Ends it without an answer; what the kernel notes lets the next hsd go on. */
struct upgrade_run *upgrade_run_free(struct upgrade_run *run);

/* Undoes it, if that is still possible. */
void upgrade_run_cancel(struct upgrade_run *run);
/* Slots, health or the word have changed. NULL is nobody. */
void upgrade_run_poke(struct upgrade_run *run);
