// SPDX-License-Identifier: GPL-2.0-or-later
/* What the self-test says of this kernel, and that it leaves nothing behind. */
#include "cases.h"

#include "plane/selftest/selftest.h"

#define PATIENCE_MS 60000

/* What is found wrong here is wrong with this kernel, as can be told without us. */
static bool is_the_kernels(unsigned ability)
{
	switch (ability) {
	case ABILITY_WAKEUP:
		return true;
	case ABILITY_CENSUS:
	case ABILITY_LOADS_CENSUS:
	case ABILITY_LOADS_QUEUES:
	case ABILITY_LOADS_MOTION:
		return !case_has_iterators();
	default:
		return false;
	}
}

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
		else if (results[i].verdict == ABILITY_FAILS && is_the_kernels(i))
			print_message("# this kernel cannot: %s\n", ability_to_string(i));
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
