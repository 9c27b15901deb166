/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A drill as a report: for programs (JSON), as a picture (SVG), or as a page that explains itself
 * to somebody who was not there (HTML with the picture in it). */
#pragma once

#include <json-c/json.h>
#include <stdio.h>

#include "core/drill.h"
#include "core/name.h"

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
int drill_report_spread(const struct drill_run *runs, size_t n, enum drill_scenario scenario,
			struct drill_spread *ret_spread);

/* The caller owns it. With `probes` each connection is in it. */
json_object *drill_report_json(const struct drill_run *run, bool probes);

enum drill_format { DRILL_JSON, DRILL_SVG, DRILL_HTML, DRILL_FORMAT_COUNT };
/* By the end of the file name; DRILL_FORMAT_COUNT for none of ours. */
enum drill_format drill_format_of(const char *path);

/* Writes all runs to a file, which is replaced as a whole or not at all. An SVG shows them one
 * below the other. Negative errno, and a sentence. */
int drill_report_write(const char *path, const struct drill_run *runs, size_t n,
		       struct problem *problem);
