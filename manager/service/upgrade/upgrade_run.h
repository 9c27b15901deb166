/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The upgrade of a service (core/change/upgrade.h says what comes when), driven by
 * service/change/run.h. */
#pragma once

#include "service/upgrade/upgrade_parts.h"

/* Asks the gate and begins, or refuses it. The request is taken, and answered at the end. */
void upgrade_run_start(struct service *service, const struct upgrade_order *order,
		       struct request *request);
/* Undoes the one that runs, if that is still possible: then `recall` (may be NULL) is taken, and
 * answered at the end, as a rollback. */
bool upgrade_run_cancel(struct service *service, struct request **recall);
