/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs of systemd, without waiting. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "util/problem.h"

enum unit_action {
	UNIT_START,
	UNIT_STOP,
	UNIT_RESTART,
	/* stop, unless systemd has other plans with it: a start that is queued is not cancelled */
	UNIT_LET_GO,
};

struct unit_job;

/* May be NULL: then nobody is told. `result` as systemd words it: "done", "failed", "canceled",
 * "timeout", ...; "unknown" when systemd was away from the bus when it ended. `problem` has a
 * sentence then, and when the job could not even be made. Called once. The job object is freed
 * after the call. */
typedef void (*unit_job_fn)(const char *result, const struct problem *problem, void *userdata);

int unit_job_new(sd_bus *bus, enum unit_action action, const char *unit, unit_job_fn on_end,
		 void *userdata, struct unit_job **ret_job);
/* The same for any call of systemd's manager that answers with a job. */
int unit_job_send(sd_bus *bus, sd_bus_message *order, unit_job_fn on_end, void *userdata,
		  struct unit_job **ret_job);
/* systemd has made it: it runs, or waits for its turn. */
bool unit_job_is_made(const struct unit_job *job);
/* Forgets the job without a callback; systemd goes on with it. */
struct unit_job *unit_job_free(struct unit_job *job);

/* The message for a job. The caller owns it. */
int unit_order_new(sd_bus *bus, enum unit_action action, const char *unit,
		   sd_bus_message **ret_order);
