/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text that Prometheus reads, in either of its forms: OpenMetrics 1.0, and the older text
 * format 0.0.4, which node_exporter takes from files and promtool checks. They differ in the name
 * by which a counter is introduced, and in what else may be said of a metric.
 *
 * A metric is begun once, and all its samples follow at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM, METRIC_TYPE_COUNT };

struct metric {
	/* with its unit, if it has one: "hotstandby_change_duration_seconds"; of a counter without
	 * "_total" */
	const char *name;
	enum metric_type type;
	const char *unit; /* the end of the name that is one; NULL: there is none */
	const char *help;
};

struct exposition {
	FILE *out;
	bool openmetrics;
	const struct metric *metric; /* that was begun last */
};

struct label {
	const char *name, *value; /* the value is escaped */
};

/* An end of one sample's name, behind that of the metric: "" of most, "_bucket", "_sum", "_count";
 * "_total" comes by itself. `labels` end with a name that is NULL. */
void exposition_begin(struct exposition *exposition, const struct metric *metric);
void exposition_sample(const struct exposition *exposition, const char *end,
		       const struct label *labels, double value);
/* Where a double would lose the last digits. */
void exposition_count(const struct exposition *exposition, const char *end,
		      const struct label *labels, uint64_t value);
/* It is complete: who reads half of it knows. */
void exposition_end(const struct exposition *exposition);
