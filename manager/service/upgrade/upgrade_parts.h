/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of service/upgrade/upgrade_run.h share. */
#pragma once

#include "core/change/upgrade.h"
#include "service/change/smoke.h"
#include "service/ended.h"
#include "service/request.h"
#include "service/service.h"
#include "system/unit/units.h"

struct upgrade_order {
	const char *smoke; /* a command line for the shell; "" = none */
	bool smoke_may_be_silent;
	unsigned n_canary;
	uint32_t canary[UPGRADE_CANARY_STEPS_MAX]; /* in 1/65536 */
	uint64_t hold_usec, probation_usec, smoke_usec;
	uint64_t ready_usec; /* USEC_INFINITY: nobody has said */
};

/* One upgrade on its way. */
struct upgrade_run {
	struct service *service;
	struct upgrade machine;
	char *smoke_command;
	bool smoke_may_be_silent;
	char from_run[33];	 /* the old instance, by its invocation id; "" = not known */
	uint32_t uid;		 /* of who asked for it */
	struct request *request; /* NULL: nobody waits for an answer */
	struct request *recall;	 /* of who has it rolled back; NULL: nobody */
	sd_event_source *timer;
	struct unit_job *job;
	struct smoke *smoke;
	struct work *reset; /* of what is left on the old slot */
	/* of the exclusive switchover: no slot could be started; the old one never stopped */
	bool neither, untouched;
	/* does what the state machine asks for; for who ends up below it */
	void (*carry_out)(struct upgrade_run *run, unsigned actions);
	struct ended ended;
};

/* An event for the state machine: the actions that follow. `why` may be NULL. */
unsigned upgrade_run_step(struct upgrade_run *run, enum upgrade_event event, const char *why);
/* Does what the state machine asks for. */
void upgrade_run_carry_out(struct upgrade_run *run, unsigned actions);

/* Begins with its machine at the start. NULL: out of memory. */
struct upgrade_run *upgrade_run_new(struct service *service, const struct upgrade_order *order,
				    unsigned from, unsigned to);
/* Why the slot that it is about is not well, as a sentence; false when it is. */
bool upgrade_run_is_unwell(const struct upgrade_run *run, struct problem *ret_why);
