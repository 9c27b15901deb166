/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A drill's figures and its verdict: it must be able to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/drill.h"
#include "hsctl/drill/report.h"
#include "util/files.h"
#include "util/macro.h"

#define MS USEC_PER_MSEC

static void add(struct drill_record *record, uint64_t begun, uint64_t took,
		enum drill_outcome outcome)
{
	struct drill_probe probe = {begun, begun + took, outcome};

	assert_int_equal(drill_record_probe(record, &probe), 0);
}

/* One every 10 ms, answered after 1 ms; those begun from `from` up to `to` become `outcome`. */
static void fill(struct drill_record *record, uint64_t from, uint64_t to,
		 enum drill_outcome outcome)
{
	*record = (struct drill_record) {.interval_usec = 10 * MS};
	for (uint64_t at = 0; at < 1000 * MS; at += 10 * MS)
		add(record, at, MS, at >= from && at < to ? outcome : DRILL_ANSWERED);
}

static void test_figures(void **state)
{
	struct drill_summary summary;
	struct drill_record record;

	(void)state;
	fill(&record, 300 * MS, 500 * MS, DRILL_REFUSED);
	record.broken_at = 295 * MS;
	record.new_active_at = 400 * MS;
	add(&record, 1000 * MS, 90 * MS, DRILL_ANSWERED);
	assert_int_equal(drill_summarize(&record, 1100 * MS, &summary), 0);
	assert_int_equal(summary.total, 101);
	assert_int_equal(summary.lost, 20);
	assert_int_equal(summary.outcomes[DRILL_REFUSED], 20);
	/* from the first that was lost to the next answer */
	assert_int_equal(summary.gap, 201 * MS);
	assert_int_equal(summary.gap_at, 300 * MS);
	assert_int_equal(summary.median, MS);
	assert_int_equal(summary.worst, 90 * MS);
	assert_int_equal(summary.to_new_active, 105 * MS);
	assert_int_equal(summary.to_answer, 206 * MS);
	record.certain_at = 505 * MS;
	assert_int_equal(drill_summarize(&record, 1100 * MS, &summary), 0);
	assert_int_equal(summary.to_answer, 216 * MS);
	drill_record_done(&record);
}

static void test_gap_that_is_open_at_the_end(void **state)
{
	struct drill_summary summary;
	struct drill_record record;

	(void)state;
	fill(&record, 600 * MS, 2000 * MS, DRILL_TIMEOUT);
	assert_int_equal(drill_summarize(&record, 3000 * MS, &summary), 0);
	assert_int_equal(summary.gap_at, 600 * MS);
	assert_int_equal(summary.gap, 3000 * MS - 600 * MS);
	drill_record_done(&record);
}

static void test_nothing(void **state)
{
	struct drill_record record = {.interval_usec = 10 * MS};
	struct drill_summary summary;

	(void)state;
	assert_int_equal(drill_summarize(&record, 100 * MS, &summary), 0);
	assert_int_equal(summary.total, 0);
	assert_int_equal(summary.gap, 0);
	assert_int_equal(summary.median, 0);
}

/* The prober was away for 300 ms: that tells nothing of the service. */
static void test_gap_of_the_prober(void **state)
{
	struct drill_record record = {.interval_usec = 10 * MS};
	struct drill_summary summary;

	(void)state;
	for (uint64_t at = 0; at < 1000 * MS; at += 10 * MS)
		if (at < 300 * MS || at >= 600 * MS)
			add(&record, at, MS, DRILL_ANSWERED);
	assert_int_equal(drill_summarize(&record, 1000 * MS, &summary), 0);
	assert_int_equal(summary.gap, MS);
	drill_record_done(&record);
}

static void test_verdicts(void **state)
{
	static const struct {
		uint64_t from, to, max_gap, max_lost;
		const char *broken, *text;
		enum drill_verdict verdict;
	} rows[] = {
		{0, 0, 100 * MS, 0, NULL, "0 of 100 connections lost, longest gap 1ms",
		 DRILL_PASSED},
		{300, 310, 100 * MS, 0, NULL, "1 of 100 connections lost (1 reset), 0 allowed",
		 DRILL_EXCEEDED},
		{300, 310, 100 * MS, 1, NULL,
		 "1 of 100 connections lost (1 reset), longest gap 11ms", DRILL_PASSED},
		{300, 600, 100 * MS, 30, NULL, "no answer for 301ms, 100ms allowed",
		 DRILL_EXCEEDED},
		{300, 600, UINT64_MAX, 30, NULL, "30 of 100", DRILL_PASSED},
		{0, 0, UINT64_MAX, 0, "slot 1 did not come back", "did not go as it must: slot 1",
		 DRILL_BROKEN},
		{0, 2000, UINT64_MAX, 500, NULL, "not one of 100 connections was answered",
		 DRILL_UNMEASURED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct drill_limits limits = {rows[i].max_gap, rows[i].max_lost};
		struct drill_course course = {.broken = rows[i].broken};
		struct drill_summary summary;
		struct drill_record record;
		struct problem sentence;

		fill(&record, rows[i].from * MS, rows[i].to * MS, DRILL_RESET);
		assert_int_equal(drill_summarize(&record, 1000 * MS, &summary), 0);
		assert_int_equal(drill_judge(&summary, &limits, &course, &sentence),
				 rows[i].verdict);
		if (!strstr(sentence.text, rows[i].text))
			fail_msg("row %zu: %s", i, sentence.text);
		drill_record_done(&record);
	}
}

/* What decides before any figure does. */
static void test_course(void **state)
{
	static const struct {
		struct drill_course course;
		const char *text;
		enum drill_verdict verdict;
	} rows[] = {
		{{.unmeasured = "nobody answers", .broken = "x"},
		 "nobody answers",
		 DRILL_UNMEASURED},
		{{.broken = "slot 1 died", .interrupted = true}, "slot 1 died", DRILL_BROKEN},
		{{.broken = "", .unmeasured = "", .interrupted = true},
		 "was interrupted",
		 DRILL_INTERRUPTED},
		{{.broken = "", .unmeasured = ""}, "0 of 100 connections lost", DRILL_PASSED},
	};
	struct drill_limits limits = {UINT64_MAX, 0};
	struct drill_summary summary;
	struct drill_record record;
	struct problem sentence;

	(void)state;
	fill(&record, 0, 0, DRILL_ANSWERED);
	assert_int_equal(drill_summarize(&record, 1000 * MS, &summary), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(drill_judge(&summary, &limits, &rows[i].course, &sentence),
				 rows[i].verdict);
		if (!strstr(sentence.text, rows[i].text))
			fail_msg("row %zu: %s", i, sentence.text);
	}
	drill_record_done(&record);
}

static void test_spread(void **state)
{
	struct drill_run runs[5] = {
		{.scenario = DRILL_CRASH, .summary = {.total = 10, .gap = 5, .to_new_active = 7}},
		{.scenario = DRILL_STOP, .summary = {.total = 10, .gap = 99}},
		{.scenario = DRILL_CRASH, .summary = {.total = 10, .lost = 2, .gap = 30}},
		{.scenario = DRILL_CRASH,
		 .verdict = DRILL_BROKEN,
		 .summary = {.total = 10, .gap = 8, .to_new_active = 3}},
		{.scenario = DRILL_CRASH, .summary = {.total = 10, .gap = 6, .to_new_active = 5}},
	};
	struct drill_spread spread;

	(void)state;
	assert_int_equal(drill_runs_spread(runs, 5, DRILL_CRASH, &spread), 0);
	assert_int_equal(spread.n, 4);
	assert_int_equal(spread.passed, 3);
	assert_int_equal(spread.total, 40);
	assert_int_equal(spread.lost, 2);
	assert_int_equal(spread.gap_min, 5);
	assert_int_equal(spread.gap_median, 8);
	assert_int_equal(spread.gap_max, 30);
	assert_int_equal(spread.n_moved, 3);
	assert_int_equal(spread.new_min, 3);
	assert_int_equal(spread.new_median, 5);
	assert_int_equal(spread.new_max, 7);
	/* one that did not pass is worse than any gap */
	assert_int_equal(spread.worst, 3);
	assert_int_equal(drill_runs_spread(runs, 5, DRILL_HANG, &spread), -ENOENT);
}

/* What stands in a report may come from a unit's own words. */
static void test_report_escapes(void **state)
{
	struct drill_run run = {.service = "app", .number = 1, .of = 1, .end = 1000 * MS};
	char path[] = "/tmp/hs-drill-XXXXXX.html", *text;
	int fd = mkstemps(path, 5);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	fill(&run.record, 300 * MS, 500 * MS, DRILL_REFUSED);
	drill_record_mark(&run.record, &(struct drill_mark) {300 * MS, true, "killed <b>&\"\x1b"});
	snprintf(run.sentence.text, sizeof(run.sentence.text), "a < b");
	assert_int_equal(drill_summarize(&run.record, run.end, &run.summary), 0);
	assert_int_equal(drill_report_write(path, &run, 1, NULL), 0);
	assert_int_equal(file_read(path, 1 << 20, &text), 0);
	assert_non_null(strstr(text, "killed &lt;b&gt;&amp;&quot;?"));
	assert_non_null(strstr(text, "a &lt; b"));
	assert_null(strchr(text, '\x1b'));
	assert_non_null(strstr(text, "</html>"));
	free(text);
	assert_int_equal(drill_report_write("report.txt", &run, 1, NULL), -EINVAL);
	unlink(path);
	drill_record_done(&run.record);
}

static void test_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DRILL_SCENARIO_COUNT; i++)
		assert_int_equal(drill_scenario_from_string(drill_scenario_to_string(i)), i);
	assert_int_equal(drill_scenario_from_string("fire"), DRILL_SCENARIO_COUNT);
	assert_int_equal(drill_format_of("a.json"), DRILL_JSON);
	assert_int_equal(drill_format_of(".json"), DRILL_FORMAT_COUNT);
	assert_int_equal(drill_format_of("x.svg"), DRILL_SVG);
}

/* What is left of an exclusive service's drills must be more than nothing. */
static void test_objections(void **state)
{
	unsigned objections = 0;

	(void)state;
	for (unsigned i = 0; i < DRILL_SCENARIO_COUNT; i++)
		objections += drill_scenario_objection(i) != NULL;
	assert_int_equal(objections, 3);
	assert_non_null(drill_scenario_objection(DRILL_HANG));
	assert_null(drill_scenario_objection(DRILL_SWITCHOVER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objections),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_gap_that_is_open_at_the_end),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_gap_of_the_prober),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_course),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_report_escapes),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
