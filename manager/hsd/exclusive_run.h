/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drives the switchover of an exclusive service (core/exclusive.h) through the event loop. */
#pragma once

#include "hsd/change_run.h"

struct exclusive_run;

/* As change_run_start(). A refusal sets `ret_refusal` and returns 0, all else 1. */
int exclusive_run_start(struct service *service, const struct change_order *order,
			sd_bus_message *message, struct problem *ret_refusal);
/* The routing word tells that an earlier hsd was at it: goes on with what that has left. */
void exclusive_run_resume(struct service *service);
struct exclusive_run *exclusive_run_free(struct exclusive_run *run);

/* This slot's state has been read anew, or may have changed (HS_SLOT_NONE: some slot's): look at
 * once. May free the run. */
void exclusive_run_poke(struct exclusive_run *run, unsigned slot);
const char *exclusive_run_verb(const struct exclusive_run *run);
/* Slots that run at the same time though only one may; empty when all is well. */
void exclusive_check(const struct service *service, struct problem *ret_problem);
