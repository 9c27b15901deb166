/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A slot is taken out of service and its connections are waited for (core/change/drain.h), driven
 * by service/change/run.h. */
#pragma once

#include "service/change/run.h"

/* Refused where nobody would take over. The request is taken, and answered at the end with
 * {"service","slot","outcome","finished","remaining","duration_us","oldest_ms","idle",
 * "longest_idle_ms","message"}. */
void drain_run_start(struct service *service, unsigned slot, uint64_t patience_usec,
		     struct request *request);
/* One that another hsd has left in the middle goes on, if one is noted in the kernel. -errno: it
 * could not be begun, and is noted still. */
int drain_run_resume(struct service *service);
/* Nobody waits any more, and nothing is done to those that are left. False: it is too late. */
bool drain_run_cancel(struct service *service);
