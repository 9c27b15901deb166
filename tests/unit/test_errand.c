// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes from a process that may have been taken over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/wire/errand.h"

static void test_hello(void **state)
{
	struct errand_hello hello = {ERRAND_VERSION}, other = {ERRAND_VERSION + 1};

	(void)state;
	assert_true(errand_check_hello(&hello, sizeof(hello)));
	assert_false(errand_check_hello(&hello, sizeof(hello) - 1));
	assert_false(errand_check_hello(&hello, 0));
	assert_false(errand_check_hello(&other, sizeof(other)));
}

static void test_end(void **state)
{
	struct errand_end end = {.id = 1, .verdict = PROBE_GOOD};

	(void)state;
	memset(end.words, 'x', sizeof(end.words));
	assert_true(errand_check_end(&end, sizeof(end)));
	assert_int_equal(strlen(end.words), sizeof(end.words) - 1);
	assert_false(errand_check_end(&end, sizeof(end) - 1));
	end.verdict = PROBE_VERDICT_COUNT;
	assert_false(errand_check_end(&end, sizeof(end)));
	end.verdict = UINT32_MAX;
	assert_false(errand_check_end(&end, sizeof(end)));
}

static void test_plugin_end(void **state)
{
	struct errand_plugin_end end = {.size = sizeof(end.output)};

	(void)state;
	assert_true(errand_check_plugin_end(&end, sizeof(end)));
	assert_false(errand_check_plugin_end(&end, sizeof(end) - 1));
	end.size++;
	assert_false(errand_check_plugin_end(&end, sizeof(end)));
}

static void test_first_line(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *line;
	} rows[] = {
		{"", 0, ""},
		{"OK", 2, "OK"},
		{"OK - fine  \r\nmore", 17, "OK - fine"},
		{"a\x1b[31mb\xff", 8, "a?[31mb?"},
		{"cut", 2, "cu"},
		{"a\0b", 3, "a"},
	};
	char much[1000];
	struct problem line;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		errand_first_line(rows[i].text, rows[i].size, &line);
		assert_string_equal(line.text, rows[i].line);
	}
	memset(much, 'm', sizeof(much));
	errand_first_line(much, sizeof(much), &line);
	assert_int_equal(strlen(line.text), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_plugin_end),
		cmocka_unit_test(test_first_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
