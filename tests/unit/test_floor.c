// SPDX-License-Identifier: GPL-2.0-or-later
/* core/watch/floor: who gets new connections when no host is well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/watch/floor.h"

#define WELL                                 \
	{                                    \
		.given = true, .takes = true \
	}
#define WINDOW 10

static void nobody_is_kept_while_one_serves(void **state)
{
	const struct floor_host hosts[] = {
		WELL, {.given = true, .bad = true, .takes = true, .ended = 100}};

	(void)state;
	assert_int_equal(floor_keep(hosts, 2, WINDOW), 0);
}

/* Those that have failed with the last one, not who had before. */
static void the_last_ones_that_were_well_are_kept(void **state)
{
	const struct floor_host hosts[] = {
		{.given = true, .bad = true, .ended = 89},
		{.given = true, .bad = true, .ended = 90},
		{.given = true, .bad = true, .takes = true, .ended = 100}};

	(void)state;
	assert_int_equal(floor_keep(hosts, 3, WINDOW), 6);
}

static void who_was_never_well_or_is_out_on_purpose_is_not(void **state)
{
	const struct floor_host hosts[] = {
		{.given = true, .bad = true},
		{.given = true, .bad = true, .takes = true, .aside = true, .ended = 100},
		{.given = true, .bad = true, .ended = 95},
		{.bad = true, .ended = 100}};

	(void)state;
	assert_int_equal(floor_keep(hosts, 4, WINDOW), 4);
	assert_int_equal(floor_keep(hosts, 2, WINDOW), 0);
}

/* One that is kept does not count as one that serves, also where it has not been asked yet. */
static void who_is_kept_is_none_that_serves(void **state)
{
	const struct floor_host hosts[] = {
		{.given = true, .takes = true, .kept = true},
		{.given = true, .bad = true, .takes = true, .kept = true, .ended = 100}};

	(void)state;
	assert_int_equal(floor_keep(hosts, 2, WINDOW), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_kept_while_one_serves),
		cmocka_unit_test(the_last_ones_that_were_well_are_kept),
		cmocka_unit_test(who_was_never_well_or_is_out_on_purpose_is_not),
		cmocka_unit_test(who_is_kept_is_none_that_serves),
	};

	return cmocka_run_group_tests_name("floor", tests, NULL, NULL);
}
