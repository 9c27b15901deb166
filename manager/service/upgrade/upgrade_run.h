/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drives the upgrade of a service through the event loop: core/change/upgrade.h says what comes
 * when. */
#pragma once

#include "core/change/upgrade.h"
#include "service/request.h"
#include "service/service.h"

struct upgrade_order {
	const char *smoke; /* a command line for the shell; "" = none */
	bool smoke_may_be_silent;
	unsigned n_canary;
	uint32_t canary[UPGRADE_CANARY_STEPS_MAX]; /* in 1/65536 */
	uint64_t hold_usec, probation_usec, smoke_usec;
	uint64_t ready_usec; /* USEC_INFINITY: nobody has said */
};

/* Asks the gate and begins, or refuses it. The request is taken, and answered at the end. */
void upgrade_run_start(struct service *service, const struct upgrade_order *order,
		       struct request *request);
/* hsd comes up: if the control map tells of an upgrade that another hsd has left in the middle, it
 * is finished when the new slot has taken over and is well, else undone, as soon as systemd and the
 * probes have told of the slots. */
int upgrade_run_watch(struct service *service);
/* Ends it without an answer; what the kernel notes lets the next hsd go on. */
struct upgrade_run *upgrade_run_free(struct upgrade_run *run);

/* Undoes it, if that is still possible: then `recall` (may be NULL) is taken, and answered at the
 * end, as a rollback. */
bool upgrade_run_cancel(struct upgrade_run *run, struct request **recall);
/* Slots, health or the word have changed. NULL is nobody. */
void upgrade_run_poke(struct upgrade_run *run);
/* EVENT_LOST, EVENT_VERDICT, EVENT_CHANGE_ENDED. */
void upgrade_run_heard(struct service *service, const struct event *event);
