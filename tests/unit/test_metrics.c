// SPDX-License-Identifier: GPL-2.0-or-later
/* What Prometheus is told: the text, and what of hsd's JSON is in it. And the counts behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "core/ledger.h"
#include "hsctl/json.h"
#include "hsctl/metrics/exposition.h"
#include "hsctl/metrics/families.h"
#include "hsctl/metrics/metrics.h"
#include "util/macro.h"

/* ---- the text ---- */

static const struct metric counter = {"a_changes", METRIC_COUNTER, NULL,
				      "Back\\slash, \"x\"\nline."};
static const struct metric gauge = {"a_wait_seconds", METRIC_GAUGE, "seconds", "Wait."};

static char *write_both(bool openmetrics)
{
	struct exposition exposition = {.openmetrics = openmetrics};
	const struct label hard[] = {{"service", "a\\b\"c\nd\xc3\xa9"}, {"slot", "0"}, {0}};
	const struct label none[] = {{0}};
	char *text = NULL;
	size_t size;

	exposition.out = open_memstream(&text, &size);
	assert_non_null(exposition.out);
	exposition_begin(&exposition, &counter);
	exposition_sample(&exposition, "", hard, 3);
	exposition_begin(&exposition, &gauge);
	exposition_sample(&exposition, "", none, 0.25);
	exposition_end(&exposition);
	assert_int_equal(fclose(exposition.out), 0);
	return text;
}

static void test_text_form(void **state)
{
	_cleanup_(freep) char *text = write_both(false);

	(void)state;
	assert_string_equal(text,
			    "# HELP a_changes_total Back\\\\slash, \"x\"\\nline.\n"
			    "# TYPE a_changes_total counter\n"
			    "a_changes_total{service=\"a\\\\b\\\"c\\nd\xc3\xa9\",slot=\"0\"} 3\n"
			    "# HELP a_wait_seconds Wait.\n"
			    "# TYPE a_wait_seconds gauge\n"
			    "a_wait_seconds 0.25\n"
			    "# EOF\n");
}

static void test_openmetrics_form(void **state)
{
	_cleanup_(freep) char *text = write_both(true);

	(void)state;
	assert_string_equal(text,
			    "# HELP a_changes Back\\\\slash, \\\"x\\\"\\nline.\n"
			    "# TYPE a_changes counter\n"
			    "a_changes_total{service=\"a\\\\b\\\"c\\nd\xc3\xa9\",slot=\"0\"} 3\n"
			    "# HELP a_wait_seconds Wait.\n"
			    "# TYPE a_wait_seconds gauge\n"
			    "# UNIT a_wait_seconds seconds\n"
			    "a_wait_seconds 0.25\n"
			    "# EOF\n");
}

static void check_number(double value, const char *expected)
{
	struct exposition exposition = {.metric = &gauge};
	_cleanup_(freep) char *text = NULL;
	size_t size;

	exposition.out = open_memstream(&text, &size);
	assert_non_null(exposition.out);
	exposition_sample(&exposition, "", (struct label[]) {{0}}, value);
	assert_int_equal(fclose(exposition.out), 0);
	assert_string_equal(text + strlen("a_wait_seconds "), expected);
}

static void test_numbers(void **state)
{
	(void)state;
	check_number(0, "0\n");
	check_number(9007199254740991.0, "9007199254740991\n");
	check_number(1764489600.123, "1764489600.123\n");
	check_number(0.05, "0.05\n");
	check_number(NAN, "NaN\n");
	check_number(INFINITY, "+Inf\n");
	check_number(-INFINITY, "-Inf\n");
}

/* ---- from JSON ---- */

static const char one_service[] =
	"[{\"service\":\"app\",\"policy\":\"standby\",\"failover\":\"auto\",\"intake\":\"own\","
	"\"exclusive\":false,\"generation\":7,\"problem\":null,\"change\":null,\"parked\":null,"
	"\"hold_ms\":1500,\"unrouted\":2,\"park\":false,\"foreign\":[],"
	"\"changes\":{\"last\":\"2026-01-31T12:00:00.250Z\",\"bounds_us\":[100000,2500000],"
	"\"verbs\":[{\"verb\":\"switchover\",\"done\":3,\"undone\":1,\"failed\":0,"
	"\"duration_us\":4200000,\"longest_us\":4000000,\"within\":[2,3]},"
	"{\"verb\":\"drain\",\"done\":0,\"undone\":0,\"failed\":0,\"duration_us\":0,"
	"\"longest_us\":0,\"within\":null}]},"
	"\"drills\":{\"last\":null,\"last_passed\":null,\"passed\":0,\"failed\":4},"
	"\"listeners\":[{\"protocol\":\"udp\",\"address\":\"0.0.0.0:53\"}],"
	"\"slots\":["
	"{\"slot\":0,\"role\":\"active\",\"state\":\"ready\",\"health\":\"unhealthy\","
	"\"since\":\"2026-01-31T12:00:01.500Z\","
	"\"weight\":50,\"share\":0.125,\"connections\":null,\"chosen\":12,\"stalled_ms\":2500,"
	"\"outdated\":{\"files\":1,"
	"\"since\":\"2026-01-31T12:00:00.000Z\"},"
	"\"problem\":null},"
	"{\"slot\":1,\"role\":\"standby\",\"state\":\"ready\",\"health\":null,"
	"\"connections\":5,\"chosen\":1,\"stalled_ms\":null,\"outdated\":null,"
	"\"problem\":\"x\"}]}]";

static char *render(bool up, const char *manager_text, const char *services_text)
{
	_cleanup_(json_object_putp) json_object *manager = json_parse(manager_text);
	_cleanup_(json_object_putp) json_object *services = json_parse(services_text);
	struct metrics_facts facts = {up, manager, services};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	metrics_write(out, METRICS_TEXT, &facts);
	assert_int_equal(fclose(out), 0);
	return text;
}

static bool has(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	return at && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n';
}

static void test_service(void **state)
{
	static const char *const lines[] = {
		"hotstandby_up 1",
		"hotstandby_build_info{version=\"0.1\"} 1",
		"hotstandby_manager_starts_total 4",
		"hotstandby_manager_turns_total 70",
		"hotstandby_manager_busy_seconds_total 1.5",
		"hotstandby_manager_longest_turn_seconds 0.012",
		"hotstandby_service_info{service=\"app\",policy=\"standby\",failover=\"auto\","
		"intake=\"own\",exclusive=\"no\"} 1",
		/* the unhealthy one is not among them */
		"hotstandby_service_ready_slots{service=\"app\"} 1",
		"hotstandby_service_generation{service=\"app\"} 7",
		"hotstandby_service_failover_hold_seconds{service=\"app\"} 1.5",
		"hotstandby_service_unrouted_total{service=\"app\"} 2",
		"hotstandby_service_held{service=\"app\"} 0",
		"hotstandby_service_foreign_sockets{service=\"app\"} 0",
		"hotstandby_changes_total{service=\"app\",verb=\"switchover\",outcome=\"done\"} 3",
		"hotstandby_changes_total{service=\"app\",verb=\"drain\",outcome=\"failed\"} 0",
		"hotstandby_change_duration_seconds_bucket{service=\"app\",verb=\"switchover\","
		"le=\"0.1\"} 2",
		"hotstandby_change_duration_seconds_bucket{service=\"app\",verb=\"switchover\","
		"le=\"2.5\"} 3",
		"hotstandby_change_duration_seconds_bucket{service=\"app\",verb=\"switchover\","
		"le=\"+Inf\"} 4",
		"hotstandby_change_duration_seconds_sum{service=\"app\",verb=\"switchover\"} 4.2",
		"hotstandby_change_duration_seconds_count{service=\"app\",verb=\"switchover\"} 4",
		"hotstandby_change_longest_seconds{service=\"app\",verb=\"switchover\"} 4",
		"hotstandby_change_last_timestamp_seconds{service=\"app\"} 1769860800.25",
		"hotstandby_drills_total{service=\"app\",verdict=\"passed\"} 0",
		"hotstandby_slot_role{service=\"app\",slot=\"0\",role=\"active\"} 1",
		"hotstandby_slot_role{service=\"app\",slot=\"0\",role=\"standby\"} 0",
		"hotstandby_slot_state{service=\"app\",slot=\"1\",state=\"ready\"} 1",
		"hotstandby_slot_health{service=\"app\",slot=\"0\",health=\"unhealthy\"} 1",
		"hotstandby_slot_connections{service=\"app\",slot=\"1\"} 5",
		"hotstandby_slot_chosen_total{service=\"app\",slot=\"0\"} 12",
		"hotstandby_slot_datagrams_total{service=\"app\",slot=\"0\"} 12",
		"hotstandby_slot_weight_ratio{service=\"app\",slot=\"0\"} 0.5",
		"hotstandby_slot_share_ratio{service=\"app\",slot=\"0\"} 0.125",
		"hotstandby_slot_state_since_timestamp_seconds{service=\"app\",slot=\"0\"} "
		"1769860801.5",
		"hotstandby_slot_stalled_seconds{service=\"app\",slot=\"0\"} 2.5",
		"hotstandby_slot_stalled_seconds{service=\"app\",slot=\"1\"} 0",
		"hotstandby_slot_outdated{service=\"app\",slot=\"0\"} 1",
		"hotstandby_slot_outdated{service=\"app\",slot=\"1\"} 0",
		"hotstandby_slot_outdated_since_timestamp_seconds{service=\"app\",slot=\"0\"} "
		"1769860800",
		"hotstandby_slot_problem{service=\"app\",slot=\"1\"} 1",
		"# EOF",
	};
	_cleanup_(freep) char *text =
		render(true,
		       "{\"version\":\"0.1\",\"starts\":4,\"turns\":70,\"busy_us\":1500000,"
		       "\"longest_turn_us\":12000}",
		       one_service);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!has(text, lines[i]))
			fail_msg("no line \"%s\" in:\n%s", lines[i], text);
}

/* What is not known is left out, rather than told as 0. */
static void test_unknown(void **state)
{
	static const char *const absent[] = {
		"hotstandby_service_parked_connections",
		"hotstandby_slot_connections{service=\"app\",slot=\"0\"}",
		"hotstandby_slot_health{service=\"app\",slot=\"1\"",
		"hotstandby_slot_queued_connections",
		"hotstandby_slot_share_ratio{service=\"app\",slot=\"1\"}",
		"hotstandby_drill_last_timestamp_seconds",
		"hotstandby_change_duration_seconds_bucket{service=\"app\",verb=\"drain\"",
		"hotstandby_build_info",
		"hotstandby_manager_starts",
		"hotstandby_manager_turns",
		"hotstandby_manager_busy",
	};
	_cleanup_(freep) char *text = render(true, "null", one_service);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		if (strstr(text, absent[i]))
			fail_msg("\"%s\" in:\n%s", absent[i], text);
}

static void test_away(void **state)
{
	_cleanup_(freep) char *text = render(false, "", "");

	(void)state;
	assert_string_equal(text, "# HELP hotstandby_up Whether hsd answers.\n"
				  "# TYPE hotstandby_up gauge\n"
				  "hotstandby_up 0\n"
				  "# EOF\n");
}

/* Of another version, or of nobody that we know. */
static void test_strange(void **state)
{
	static const char *const strange[] = {
		"[]",
		"[null]",
		"[1,\"x\",[]]",
		"{}",
		"[{}]",
		"[{\"service\":5,\"slots\":{},\"changes\":[],\"drills\":7,\"listeners\":\"x\"}]",
		"[{\"service\":\"a\",\"slots\":[null,4,{\"slot\":\"x\",\"role\":3}],"
		"\"changes\":{\"bounds_us\":[1],\"verbs\":[null,{\"verb\":9,\"done\":\"x\"},"
		"{\"verb\":\"v\",\"done\":1,\"within\":[1,2,3]}]}}]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(strange); i++) {
		_cleanup_(freep) char *text = render(true, strange[i], strange[i]);

		assert_true(has(text, "hotstandby_up 1"));
		assert_true(has(text, "# EOF"));
	}
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), length = strlen(end);

	return n > length && !strcmp(name + n - length, end);
}

static void check_names(const struct family *families)
{
	for (; families->key; families++) {
		const struct metric *metric = &families->metric;
		const char *help = metric->help;

		assert_memory_equal(metric->name, "hotstandby_", strlen("hotstandby_"));
		assert_true(!metric->unit || ends_with(metric->name, metric->unit));
		/* it comes by itself */
		assert_false(ends_with(metric->name, "_total"));
		assert_true(ends_with(help, "."));
		assert_int_equal(metric->name[strspn(metric->name, "abcdefghijklmnopqrstuvwxyz_")],
				 '\0');
	}
}

static void test_names(void **state)
{
	(void)state;
	check_names(families_of_manager);
	check_names(families_of_service);
	check_names(families_of_slot);
}

/* ---- counts ---- */

static void test_ledger(void **state)
{
	struct ledger ledger = {.layout = LEDGER_LAYOUT};
	const struct ledger_changes *changes = &ledger.changes[LEDGER_UPGRADE];

	(void)state;
	ledger_change(&ledger, LEDGER_UPGRADE, LEDGER_DONE, 100 * USEC_PER_MSEC, 5);
	ledger_change(&ledger, LEDGER_UPGRADE, LEDGER_UNDONE, 100 * USEC_PER_MSEC + 1, 9);
	ledger_change(&ledger, LEDGER_UPGRADE, LEDGER_DONE, 5000 * USEC_PER_SEC, 8);
	assert_int_equal(changes->ended[LEDGER_DONE], 2);
	assert_int_equal(changes->ended[LEDGER_UNDONE], 1);
	assert_int_equal(changes->within[0], 1);
	assert_int_equal(changes->within[1], 1);
	/* beyond all bounds: in the count alone */
	assert_int_equal(changes->within[LEDGER_BOUNDS - 1], 0);
	assert_int_equal(changes->longest_usec, 5000 * USEC_PER_SEC);
	assert_int_equal(changes->duration_usec, 5000 * USEC_PER_SEC + 200 * USEC_PER_MSEC + 1);
	assert_int_equal(ledger.last_usec, 8);
	/* what is none of it */
	ledger_change(&ledger, ledger_verb_from_string("promote"), LEDGER_DONE, 1, 20);
	ledger_change(&ledger, LEDGER_UPGRADE, LEDGER_OUTCOME_COUNT, 1, 20);
	assert_int_equal(ledger.last_usec, 8);
	for (unsigned i = 1; i < LEDGER_BOUNDS; i++)
		assert_true(ledger_bound(i) > ledger_bound(i - 1));
}

static void test_ledger_drills(void **state)
{
	struct ledger ledger = {.layout = LEDGER_LAYOUT};

	(void)state;
	ledger_drill(&ledger, DRILL_PASSED, 4);
	ledger_drill(&ledger, DRILL_BROKEN, 6);
	ledger_drill(&ledger, DRILL_VERDICT_COUNT, 7);
	assert_int_equal(ledger.drills[DRILL_PASSED], 1);
	assert_int_equal(ledger.drills[DRILL_BROKEN], 1);
	assert_int_equal(ledger.drill_usec, 6);
	assert_int_equal(ledger.drill_passed_usec, 4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_form), cmocka_unit_test(test_openmetrics_form),
		cmocka_unit_test(test_numbers),	  cmocka_unit_test(test_service),
		cmocka_unit_test(test_unknown),	  cmocka_unit_test(test_away),
		cmocka_unit_test(test_strange),	  cmocka_unit_test(test_names),
		cmocka_unit_test(test_ledger),	  cmocka_unit_test(test_ledger_drills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
