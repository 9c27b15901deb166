/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is told of the fast path of a service, as JSON. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/config/config_fastpath.h"
#include "util/problem.h"

struct fastpath_unit {
	const char *name;
	bool known; /* what is known of it: without hsd nothing is */
	bool joined;
	const char *problem; /* why its connections go by TCP; "" = they need not */
};

struct fastpath_report {
	const char *problem; /* why there is none; "" = there is */
	unsigned n_units;
	struct fastpath_unit units[CONFIG_FASTPATH_UNITS_MAX];
};

/* Adds "fastpath", with the counts of all places of the service. */
void fastpath_report_add(const struct fastpath_report *report, uint32_t service_id,
			 json_object *object);
