/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probe= as text, and when a slot is called healthy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "core/watch/probe.h"
#include "util/macro.h"

static void test_good(void **state)
{
	static const struct {
		const char *text;
		struct probe_spec spec;
	} rows[] = {
		{"tcp", {PROBE_TCP, 0, ""}},
		{"tcp:8443", {PROBE_TCP, 8443, ""}},
		{"http:/", {PROBE_HTTP, 0, "/"}},
		{"http:/healthz?full=1", {PROBE_HTTP, 0, "/healthz?full=1"}},
		{"http:8080/h:x", {PROBE_HTTP, 8080, "/h:x"}},
		{"https:443/", {PROBE_HTTPS, 443, "/"}},
		{"exec:/usr/lib/nagios/plugins/check_http -H localhost -p 80",
		 {PROBE_EXEC, 0, "/usr/lib/nagios/plugins/check_http -H localhost -p 80"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct probe_spec spec = {0};

		assert_int_equal(probe_parse(rows[i].text, &spec, NULL), 0);
		assert_int_equal(spec.kind, rows[i].spec.kind);
		assert_int_equal(spec.port, rows[i].spec.port);
		assert_string_equal(spec.text, rows[i].spec.text);
	}
}

static void test_bad(void **state)
{
	static const char *const rows[] = {
		"",
		"http",
		"tcp:",
		"tcp:0",
		"tcp:65536",
		"tcp:80x",
		"TCP",
		"http:",
		"http:healthz",
		"http:99999/",
		"http://host/",
		"http:/a b",
		"http:/a\n",
		"exec:check",
		"exec:",
		"exec:/bin/x 'y",
		"icmp:",
		"https:443",
		"tcp:000000080",
	};
	struct probe_spec spec = {.port = 7};
	struct problem problem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (probe_parse(rows[i], &spec, &problem) != -EINVAL)
			fail_msg("\"%s\" was taken", rows[i]);
		assert_non_null(strstr(problem.text, "is not a probe; allowed are tcp,"));
	}
	assert_int_equal(spec.port, 7);
}

static void test_split(void **state)
{
	static const struct {
		const char *line, *words; /* with '|' between */
		int result;
	} rows[] = {
		{"/bin/x", "/bin/x", 0},
		{"  /bin/x  -a\tb ", "/bin/x|-a|b", 0},
		{"/x 'a b' \"c d\"e f\\ g", "/x|a b|c de|f g", 0},
		{"/x '' \"\"", "/x||", 0},
		{"/x 'a\\' \"b\\\"\"", "/x|a\\|b\"", 0},
		{"/x $HOME *;true", "/x|$HOME|*;true", 0},
		{"", "", 0},
		{"/x 'a", "", -EINVAL},
		{"/x \"a'", "", -EINVAL},
		{"/x a\\", "", -EINVAL},
		{"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 "
		 "30 31 32",
		 "", -E2BIG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char storage[PROBE_TEXT_MAX], *words[PROBE_WORDS_MAX], joined[600] = "";

		if (probe_split(rows[i].line, storage, words) != rows[i].result)
			fail_msg("row %zu", i);
		for (unsigned k = 0; !rows[i].result && words[k]; k++) {
			strcat(joined, k ? "|" : "");
			strcat(joined, words[k]);
		}
		assert_string_equal(joined, rows[i].words);
	}
}

static void test_port_rank(void **state)
{
	static const struct probe_spec tcp = {.kind = PROBE_TCP}, http = {.kind = PROBE_HTTP},
				       https = {.kind = PROBE_HTTPS};

	(void)state;
	assert_true(probe_port_rank(&https, 443) < probe_port_rank(&https, 80));
	assert_true(probe_port_rank(&http, 80) < probe_port_rank(&http, 22));
	assert_true(probe_port_rank(&http, 8080) < probe_port_rank(&http, 8443));
	assert_true(probe_port_rank(&tcp, 80) < probe_port_rank(&tcp, 443));
}

/* Rounds as letters: '+' good, '-' failed; after each the state as a letter: u, h, x. */
static void test_verdict(void **state)
{
	static const struct {
		unsigned fall, rise;
		const char *rounds, *states;
	} rows[] = {
		{3, 2, "++", "uh"},	      {3, 2, "+-+-+", "uuuuu"},
		{3, 2, "---", "uux"},	      {3, 2, "++--+---", "uhhhhhhx"},
		{3, 2, "---+-++", "uuxxxxh"}, {1, 1, "+-+-", "hxhx"},
		{2, 3, "--+++-", "uxxxhh"},
	};
	struct health health;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct health_rule rule = {rows[i].fall, rows[i].rise};

		health_init(&health, 5);
		for (size_t k = 0; rows[i].rounds[k]; k++) {
			bool failed = rows[i].rounds[k] == '-';
			enum health_state before = health.state;
			bool changed = health_note(&health, &rule, failed ? "HTTP 503" : NULL, k);

			assert_int_equal("uhx"[health.state], rows[i].states[k]);
			assert_int_equal(changed, before != health.state);
			if (changed)
				assert_int_equal(health.since, k);
			if (failed)
				assert_string_equal(health.reason.text, "HTTP 503");
		}
	}
}

/* A host that is gone right behind a good round is left within Fall= intervals. */
static void test_front_pace(void **state)
{
	(void)state;
	for (uint64_t interval = HEALTH_FRONT_MIN; interval <= 10000000; interval += 10000)
		for (unsigned fall = 1; fall <= 10; fall++) {
			struct health_pace pace = health_front_pace(interval, fall);
			uint64_t failing =
				fall * pace.connect_usec + (fall - 1) * HEALTH_HURRIED_USEC;

			assert_true(pace.every_usec + failing <= interval * fall);
			assert_true(pace.every_usec <= interval);
			assert_true(pace.every_usec >= HEALTH_HURRIED_USEC);
			assert_true(pace.connect_usec >= HEALTH_CONNECT_MIN);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	cmocka_unit_test(test_bad),
		cmocka_unit_test(test_split),	cmocka_unit_test(test_port_rank),
		cmocka_unit_test(test_verdict), cmocka_unit_test(test_front_pace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
