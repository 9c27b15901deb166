/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metrics that are one value of a JSON object each: which, under what name, and how it is read. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "hsctl/metrics/exposition.h"

enum family_source {
	FAMILY_NUMBER, /* a number; null or missing: there is no sample */
	FAMILY_SPAN,   /* a number; null: 0 */
	FAMILY_TRUTH,  /* a boolean */
	FAMILY_GIVEN,  /* 1: it is there and not null */
	FAMILY_TIME,   /* a time of day; null: there is no sample */
	FAMILY_LENGTH  /* of an array */
};

struct family {
	struct metric metric;
	const char *key;
	const char *in; /* the object in it that has the key; NULL: it has it itself */
	enum family_source source;
	double scale; /* how many of its units make one of the metric's; 0: it has the same */
};

/* Of hsd, of a service, and of a slot, each up to one without a key. */
extern const struct family families_of_manager[], families_of_service[], families_of_slot[];

/* False: there is no sample. */
bool family_read(const struct family *family, json_object *object, double *ret_value);
