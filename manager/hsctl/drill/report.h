/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A drill as a report: for programs (JSON), as a picture (SVG), or as a page that explains itself
 * to somebody who was not there (HTML with the picture in it). */
#pragma once

#include <json-c/json.h>
#include <stdio.h>

#include "hsctl/drill/runs.h"

/* The caller owns it. With `probes` each connection is in it. */
json_object *drill_report_json(const struct drill_run *run, bool probes);

enum drill_format { DRILL_JSON, DRILL_SVG, DRILL_HTML, DRILL_FORMAT_COUNT };
/* By the end of the file name; DRILL_FORMAT_COUNT for none of ours. */
enum drill_format drill_format_of(const char *path);

/* Writes all runs to a file, which is replaced as a whole or not at all. An SVG shows them one
 * below the other. Negative errno, and a sentence. */
int drill_report_write(const char *path, const struct drill_run *runs, size_t n,
		       struct problem *problem);
