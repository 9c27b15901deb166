// SPDX-License-Identifier: GPL-2.0-or-later
/* core/canary: prefixes of clients, and what the share is taken of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "core/canary.h"
#include "util/macro.h"

static void test_prefixes(void **state)
{
	static const struct {
		const char *text, *canonical; /* NULL: it is none */
		unsigned length;
	} cases[] = {
		{"10.1.0.0/16", "10.1.0.0/16", 112},
		{"10.1.2.3/16", "10.1.0.0/16", 112},
		{"10.1.2.3", "10.1.2.3/32", 128},
		{"0.0.0.0/0", "0.0.0.0/0", 96},
		{"255.255.255.255/31", "255.255.255.254/31", 127},
		{"2001:db8::/32", "2001:db8::/32", 32},
		{"2001:db8:ffff::1/33", "2001:db8:8000::/33", 33},
		{"::1", "::1/128", 128},
		{"::/0", "::/0", 0},
		{"::ffff:10.1.0.0/112", "10.1.0.0/16", 112},
		{"10.1.0.0/33", NULL, 0},
		{"2001:db8::/129", NULL, 0},
		{"10.1.0.0/", NULL, 0},
		{"10.1.0.0/-1", NULL, 0},
		{"10.1.0.0/16x", NULL, 0},
		{"10.1.0", NULL, 0},
		{"/16", NULL, 0},
		{"", NULL, 0},
		{"localhost", NULL, 0},
		{"10.1.0.0/1/6", NULL, 0},
		{"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/12", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct canary_filter filter = {0};
		char text[PREFIX_TEXT_MAX];
		int r = canary_add(&filter, cases[i].text);

		if (r != (cases[i].canonical ? 0 : -EINVAL))
			fail_msg("\"%s\": %d", cases[i].text, r);
		assert_int_equal(filter.n, r ? 0 : 1);
		if (r)
			continue;
		assert_int_equal(filter.prefixes[0].length, cases[i].length);
		assert_string_equal(prefix_format(&filter.prefixes[0], text), cases[i].canonical);
		/* what is printed is taken again, and is the same */
		assert_int_equal(canary_add(&filter, text), 0);
		assert_int_equal(filter.n, 1);
	}
}

static void test_lists(void **state)
{
	struct canary_filter a = {0}, b = {0}, bad = {0};
	struct problem problem;
	char text[256], small[32];

	(void)state;
	assert_int_equal(canary_add_list(&a, "10.0.0.0/8,2001:db8::/32,192.0.2.1", &problem), 0);
	assert_int_equal(canary_add_list(&b, "192.0.2.1", &problem), 0);
	assert_false(canary_equal(&a, &b));
	assert_int_equal(canary_add_list(&b, "2001:db8::/32,10.9.9.9/8,192.0.2.1/32", &problem), 0);
	assert_true(canary_equal(&a, &b));
	canary_format(&a, text, sizeof(text));
	assert_int_equal(strlen(text), strlen("10.0.0.0/8, 192.0.2.1/32, 2001:db8::/32"));
	canary_format(&a, small, sizeof(small));
	assert_non_null(strstr(small, ", ..."));
	b.by_client = true;
	assert_false(canary_equal(&a, &b));

	assert_int_equal(canary_add_list(&bad, "10.0.0.0/8,", &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "\"\" is not a prefix"));
	assert_int_equal(canary_add_list(&bad, ",10.0.0.0/8", &problem), -EINVAL);
	assert_int_equal(canary_add_list(&bad, "10.0.0.0/8 ,::1", &problem), -EINVAL);
}

static void test_too_many(void **state)
{
	struct canary_filter filter = {0};
	struct problem problem;
	char text[32];

	(void)state;
	for (unsigned i = 0; i < HS_PREFIXES_MAX; i++) {
		snprintf(text, sizeof(text), "10.0.%u.0/24", i);
		assert_int_equal(canary_add(&filter, text), 0);
	}
	assert_int_equal(canary_add(&filter, "10.0.0.0/24"), 0); /* there already */
	assert_int_equal(canary_add_list(&filter, "10.0.64.0/24", &problem), -E2BIG);
	assert_non_null(strstr(problem.text, "64 prefixes at the most"));
	assert_int_equal(filter.n, HS_PREFIXES_MAX);
}

static void test_by(void **state)
{
	struct canary_filter filter = {0};

	(void)state;
	assert_string_equal(canary_by(&filter), "connection");
	assert_int_equal(canary_set_by(&filter, "client"), 0);
	assert_string_equal(canary_by(&filter), "client");
	assert_int_equal(canary_set_by(&filter, "clients"), -EINVAL);
	assert_int_equal(canary_set_by(&filter, ""), -EINVAL);
	assert_true(filter.by_client);
	assert_int_equal(canary_set_by(&filter, "connection"), 0);
	assert_false(filter.by_client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_by),
	};

	return cmocka_run_group_tests_name("canary", tests, NULL, NULL);
}
