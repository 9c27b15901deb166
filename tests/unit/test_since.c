/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hsctl/verb/since: spans and times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "hsctl/verb/since.h"
#include "util/macro.h"

static void test_since(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds; /* 0: none */
	} cases[] = {
		{"2h", 1800000000 - 7200},
		{"0", 1800000000},
		{"1d 1s", 1800000000 - 86401},
		{"2026-11-30", 1795996800},
		{"2026-11-30 10:45", 1796035500},
		{"2026-11-30 10:45:10", 1796035510},
		{"@1795996800", 1795996800},
		{"@1800000001", 0},
		{"@", 0},
		{"", 0},
		{"yesterday", 0},
		{"2026-11-30 10:45x", 0},
		{"2026-13-30", 0},
		{"-2h", 0},
		{"100000w", 0},
		{"infinity", 0},
	};

	(void)state;
	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t seconds = 0;
		int r = since_parse(cases[i].text, 1800000000, &seconds);

		if (r != (cases[i].seconds ? 0 : -EINVAL) || seconds != cases[i].seconds)
			fail_msg("%s: %d, %llu", cases[i].text, r, (unsigned long long)seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_since)};

	return cmocka_run_group_tests_name("since", tests, NULL, NULL);
}
