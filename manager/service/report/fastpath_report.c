// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/report/fastpath_report.h"

#include "plane/fast/fast.h"

static json_object *text_or_null(const char *text)
{
	return text[0] ? json_object_new_string(text) : NULL;
}

static json_object *unit_to_json(const struct fastpath_unit *unit)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "unit", json_object_new_string(unit->name));
	json_object_object_add(object, "joined",
			       unit->known ? json_object_new_boolean(unit->joined) : NULL);
	json_object_object_add(object, "problem", text_or_null(unit->problem));
	return object;
}

static void add(json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

static json_object *reasons(const struct hs_fast_counts *counts)
{
	json_object *object = json_object_new_object();

	for (unsigned why = HS_FAST_WHY_NONE + 1; why < HS_FAST_WHY_COUNT; why++)
		add(object, fast_why_to_string(why), counts->why[why]);
	return object;
}

void fastpath_report_add(const struct fastpath_report *report, uint32_t service_id,
			 json_object *object)
{
	json_object *fastpath = json_object_new_object(), *units = json_object_new_array();
	struct hs_fast_counts counts = {0};
	struct fast *fast = NULL;

	for (unsigned i = 0; i < report->n_units; i++)
		json_object_array_add(units, unit_to_json(&report->units[i]));
	if (!fast_attach(&fast))
		(void)fast_totals(fast, service_id, &counts);
	fast_free(fast);
	json_object_object_add(fastpath, "works", json_object_new_boolean(!report->problem[0]));
	json_object_object_add(fastpath, "problem", text_or_null(report->problem));
	json_object_object_add(fastpath, "units", units);
	add(fastpath, "pairs", counts.begun > counts.ended ? counts.begun - counts.ended : 0);
	add(fastpath, "begun", counts.begun);
	add(fastpath, "refused", counts.refused);
	add(fastpath, "received_fast_bytes", counts.fast_bytes[HS_FAST_CLIENT]);
	add(fastpath, "sent_fast_bytes", counts.fast_bytes[HS_FAST_SERVER]);
	add(fastpath, "received_tcp_bytes", counts.tcp_bytes[HS_FAST_CLIENT]);
	add(fastpath, "sent_tcp_bytes", counts.tcp_bytes[HS_FAST_SERVER]);
	json_object_object_add(fastpath, "by_tcp", reasons(&counts));
	json_object_object_add(object, "fastpath", fastpath);
}
