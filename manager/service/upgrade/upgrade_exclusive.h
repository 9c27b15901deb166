/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is special about the upgrade of an exclusive service: its switchover and its way back are
 * those of service/change/exclusive_run.h. For service/upgrade/upgrade_run.c. */
#pragma once

#include "core/change/exclusive.h"
#include "service/upgrade/upgrade_parts.h"

/* Whether one may begin, from which slot and to which. */
enum gate_answer upgrade_exclusive_gate(const struct service *service,
					const struct upgrade_order *order, unsigned *ret_from,
					unsigned *ret_to, struct problem *ret_refusal);
/* UPGRADE_DO_SWITCH and UPGRADE_DO_UNDO, and the end of what these have begun. Return actions. */
unsigned upgrade_exclusive_switch(struct upgrade_run *upgrade);
unsigned upgrade_exclusive_undo(struct upgrade_run *upgrade);
unsigned upgrade_exclusive_ended(struct upgrade_run *upgrade, const struct exclusive *machine);
