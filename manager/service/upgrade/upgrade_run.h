/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drives the upgrade of a service through the event loop: core/change/upgrade.h says what comes
 * when. */
#pragma once

#include "service/upgrade/upgrade_parts.h"

/* Asks the gate and begins, or refuses it. The request is taken, and answered at the end. */
void upgrade_run_start(struct service *service, const struct upgrade_order *order,
		       struct request *request);
/* Ends it without an answer; what the kernel notes lets the next hsd go on. */
struct upgrade_run *upgrade_run_free(struct upgrade_run *run);

/* Undoes it, if that is still possible: then `recall` (may be NULL) is taken, and answered at the
 * end, as a rollback. */
bool upgrade_run_cancel(struct upgrade_run *run, struct request **recall);
/* Slots, health or the word have changed. NULL is nobody. */
void upgrade_run_poke(struct upgrade_run *run);
/* EVENT_LOST, EVENT_VERDICT, EVENT_CHANGE_ENDED. */
void upgrade_run_heard(struct service *service, const struct event *event);
