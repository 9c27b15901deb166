/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hsd says of itself and its services (Describe and DescribeManager, see hsd(8)), as metrics
 * for Prometheus: for hsctl metrics and hotstandby-exporter alike. hsctl(1) has their names, which
 * are a contract.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

struct metrics_facts {
	bool up;	       /* hsd answers */
	json_object *manager;  /* NULL: it is not known */
	json_object *services; /* an array; NULL: nothing is known of any */
};

enum metrics_form { METRICS_TEXT, METRICS_OPENMETRICS };

void metrics_write(FILE *out, enum metrics_form form, const struct metrics_facts *facts);
