// SPDX-License-Identifier: GPL-2.0-or-later
/* What the self-test says of this kernel, and that it leaves nothing behind. */
#include "cases.h"

#include "plane/selftest/selftest.h"

#define PATIENCE_MS 60000

static void every_test_works_here(void **state)
{
	struct selftest *selftest;
	const struct ability_result *results;

	(void)state;
	assert_int_equal(selftest_start(SELFTEST_ALL, &selftest), 0);
	results = selftest_finish(selftest, PATIENCE_MS);
	for (unsigned i = 0; i < ABILITY_COUNT; i++) {
		if (results[i].verdict == ABILITY_WORKS)
			assert_string_equal(results[i].detail, "");
		else if (i == ABILITY_WAKEUP && results[i].verdict == ABILITY_FAILS)
			print_message("# this kernel does not wake servers after a move\n");
		else
			fail_msg("test %u: %d, %s", i, results[i].verdict, results[i].detail);
	}
	selftest_free(selftest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(every_test_works_here),
	};

	return cases_run("selftest", tests);
}
