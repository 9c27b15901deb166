/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is told of a service in JSON: names in it are a contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "service/report/report.h"
#include "util/macro.h"

static void assert_row(const struct service_report *report, const char *wanted)
{
	json_object *row = report_to_row(report);
	_cleanup_(freep) char *text = report_text(row);

	assert_string_equal(text, wanted);
	json_object_put(row);
}

static void test_row_of_what_is_not_known(void **state)
{
	_cleanup_(freep) struct service_report *report = malloc(sizeof(*report));

	(void)state;
	report_init(report, "app", 2);
	report->slots[0].state = SLOT_UNKNOWN;
	report->slots[1].state = SLOT_UNKNOWN;
	/* without accounting nobody has counted */
	report->slots[0].totals.connections = 5;
	report->parked = QUEUED_UNKNOWN;
	assert_row(report,
		   "{\"service\":\"app\",\"policy\":\"standby\",\"active\":null,\"ready\":0,"
		   "\"unknown\":2,\"full\":0,\"slots\":2,\"connections\":0,\"outdated\":0,"
		   "\"park\":false,\"parked\":null,\"listeners\":[],\"problem\":null}");
}

static void test_row_counts_slots(void **state)
{
	_cleanup_(freep) struct service_report *report = malloc(sizeof(*report));

	(void)state;
	report_init(report, "app", 3);
	report->accounting = true;
	report->word = (WORD_INITIAL & ~(uint64_t)0xff) | 1;
	for (unsigned i = 0; i < 3; i++)
		report->slots[i].totals.connections = i + 1;
	report->slots[0].state = SLOT_READY;
	report->slots[1].state = SLOT_READY;
	report->slots[1].full = true;
	report->slots[2].state = SLOT_DOWN;
	report->slots[2].outdated.files = 2;
	report->parked = 7;
	report->n_paths = 1;
	strcpy(report->paths[0], "/run/app.sock");
	problem_set(&report->problem, 0, "Something is wrong.");
	assert_row(report, "{\"service\":\"app\",\"policy\":\"standby\",\"active\":1,\"ready\":2,"
			   "\"unknown\":0,\"full\":1,\"slots\":3,\"connections\":6,\"outdated\":1,"
			   "\"park\":false,\"parked\":7,\"listeners\":[{\"protocol\":\"unix\","
			   "\"address\":\"/run/app.sock\"}],\"problem\":\"Something is wrong.\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_row_of_what_is_not_known),
		cmocka_unit_test(test_row_counts_slots),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
