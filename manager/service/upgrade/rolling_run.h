/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The upgrade of a service whose slots are all at work (core/change/rolling.h says what comes
 * when), driven by service/change/run.h. */
#pragma once

#include "service/upgrade/upgrade_parts.h"

/* Asks the gate and begins, or refuses it. The request is taken, and answered at the end. */
void rolling_run_start(struct service *service, const struct upgrade_order *order,
		       struct request *request);
/* Whether the upgrade that runs is such a one. */
bool rolling_run_is(const struct run *run);
/* Ends it where it is: `recall` (may be NULL) is taken, and answered at the end. */
void rolling_run_cancel(struct service *service, struct request **recall);
/* Whether what is noted (plane_upgrade()) is such a one; takes it up. -errno. */
bool rolling_run_is_noted(const struct plane_upgrade *noted);
int rolling_run_resume(struct service *service, const struct plane_upgrade *noted);
