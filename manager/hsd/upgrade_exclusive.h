/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is special about the upgrade of an exclusive service: its switchover and its way back are
 * those of hsd/exclusive_run.h. For hsd/upgrade_run.c. */
#pragma once

#include "core/exclusive.h"
#include "hsd/upgrade_run.h"
#include "system/units.h"

/* One upgrade on its way. */
struct upgrade_run {
	struct service *service;
	struct upgrade machine;
	char *smoke_command;
	uint32_t uid;		 /* of who asked for it */
	sd_bus_message *message; /* NULL: nobody waits for an answer */
	sd_bus_message *recall;	 /* of who has it rolled back; NULL: nobody */
	sd_event_source *timer;
	struct unit_job *job;
	struct smoke *smoke;
	/* of the exclusive switchover: no slot could be started; the old one never stopped */
	bool neither, untouched;
};

/* An event for the state machine: the actions that follow. `why` may be NULL. */
unsigned upgrade_run_step(struct upgrade_run *run, enum upgrade_event event, const char *why);
/* Does what the state machine asks for. Frees the run when it has ended: the last thing a caller
 * does. */
void upgrade_run_carry_out(struct upgrade_run *run, unsigned actions);

/* Whether one may begin, and to which slot. */
enum gate_answer upgrade_exclusive_gate(const struct service *service,
					const struct upgrade_order *order, unsigned *ret_to,
					struct problem *ret_refusal);
/* UPGRADE_DO_SWITCH and UPGRADE_DO_UNDO. May end the run. */
void upgrade_exclusive_switch(struct upgrade_run *run);
void upgrade_exclusive_undo(struct upgrade_run *run);
