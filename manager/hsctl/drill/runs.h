/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was done in a drill, and what came of it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/drill.h"
#include "core/name.h"
#include "util/problem.h"

/* One scenario, once. */
struct drill_run {
	char service[SERVICE_NAME_MAX];
	enum drill_scenario scenario;
	unsigned number, of;   /* of the repetitions, from 1 */
	char asked[640];       /* whom: "http://127.0.0.1:8080/", "tcp 127.0.0.1:25" */
	unsigned rate;	       /* connections per second */
	uint64_t timeout_usec; /* of each connection */
	size_t lead_lost;      /* that may be lost before anything is done to the service */
	uint64_t began_usec;   /* CLOCK_REALTIME */
	uint64_t end;	       /* microseconds since it began */
	struct drill_record record;
	struct drill_summary summary;
	struct drill_limits limits;
	enum drill_verdict verdict;
	struct problem sentence; /* the verdict's */
};

/* The figures of all runs of a scenario; `worst` is its place in `runs`. -ENOENT: it was not run.
 */
int drill_runs_spread(const struct drill_run *runs, size_t n, enum drill_scenario scenario,
		      struct drill_spread *ret_spread);
