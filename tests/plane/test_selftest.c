// SPDX-License-Identifier: GPL-2.0-or-later
/* What the self-test says of this kernel, and that it leaves nothing behind. */
#include "cases.h"

#include "plane/selftest/selftest_fast.h"

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

/* Which of the programs' habits a kernel breaks on the fast path is the kernel's; but it is known
 * of each. What a kernel lacks that is vital is a reason to refuse. */
static void the_fast_path_is_tried(void **state)
{
	const uint32_t most = SELFTEST_ALL & ~(1U << FAST_LARGE);
	const struct ability_result *results;
	struct selftest *selftest;
	struct problem sentence;
	bool refuses = false;

	(void)state;
	case_needs(ABILITY_LOADS_FAST);
	assert_int_equal(selftest_fast_start(most, &selftest), 0);
	results = selftest_finish(selftest, PATIENCE_MS);
	for (unsigned i = 0; i < FAST_ABILITY_COUNT; i++) {
		if (i != FAST_LARGE && results[i].verdict == ABILITY_UNKNOWN)
			print_message("# not tried: %s: %s\n", fast_ability_to_string(i),
				      results[i].detail);
		if (results[i].verdict == ABILITY_FAILS)
			print_message("# this kernel cannot: %s: %s\n", fast_ability_to_string(i),
				      results[i].detail);
		refuses |= fast_ability_vital() & 1U << i && results[i].verdict != ABILITY_WORKS;
	}
	assert_int_equal(fast_ability_refuses(results, "1.2.3", &sentence), refuses);
	assert_int_equal(results[FAST_ORDER].verdict, ABILITY_WORKS);
	assert_int_equal(results[FAST_FIN].verdict, ABILITY_WORKS);
	assert_int_equal(results[FAST_RST].verdict, ABILITY_WORKS);
	assert_int_equal(results[FAST_NAMESPACES].verdict, ABILITY_WORKS);
	selftest_free(selftest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(every_test_works_here),
		BARE_CASE(the_fast_path_is_tried),
	};

	return cases_run("selftest", tests);
}
