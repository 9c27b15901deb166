// SPDX-License-Identifier: GPL-2.0-or-later
/* Which kernels are of no use, and what is said of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/doctor/ability.h"
#include "core/doctor/doctor.h"

static struct ability_result results[ABILITY_COUNT];

static int all_works(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ABILITY_COUNT; i++)
		results[i] = (struct ability_result) {.verdict = ABILITY_WORKS};
	return 0;
}

static void fails(enum ability ability)
{
	results[ability] =
		(struct ability_result) {.verdict = ABILITY_FAILS, .detail = "it was said why"};
}

static void assert_refused(const char *what, const char *since)
{
	struct problem sentence = {0};

	assert_true(ability_refuses(results, "5.10.0-46-amd64", &sentence));
	assert_non_null(strstr(sentence.text, "5.10.0-46-amd64"));
	assert_non_null(strstr(sentence.text, what));
	assert_non_null(strstr(sentence.text, since));
	assert_null(strchr(sentence.text, '\n'));
}

static void test_what_is_needed_is_named_with_its_version(void **state)
{
	static const struct {
		enum ability ability;
		const char *what, *since;
	} needed[] = {
		{ABILITY_MIGRATION, "move waiting connections", "5.14 or later"},
		{ABILITY_RING, "ring buffers", "5.8 or later"},
		{ABILITY_MMAP, "mmap", "5.5 or later"},
		{ABILITY_SELECT, "choose the listener", "4.19 or later"},
		{ABILITY_LOADS_SELECTOR, "it was said why", "cannot work with this kernel"},
	};
	uint32_t mask = 0;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		all_works(state);
		fails(needed[i].ability);
		assert_refused(needed[i].what, needed[i].since);
		mask |= 1U << needed[i].ability;
	}
	assert_int_equal(ability_needed(), mask);
}

static void test_of_several_the_newest_version_is_told(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ABILITY_COUNT; i++)
		fails((enum ability)i);
	assert_refused("move waiting connections", "5.14 or later");
}

static void test_nothing_else_refuses(void **state)
{
	struct problem sentence;

	(void)state;
	assert_false(ability_refuses(results, "6.1", &sentence));
	for (unsigned i = 0; i < ABILITY_COUNT; i++)
		if (!(ability_needed() & 1U << i))
			fails((enum ability)i);
	assert_false(ability_refuses(results, "6.1", &sentence));
}

static void test_what_could_not_be_tried_does_not_refuse(void **state)
{
	struct problem sentence;

	(void)state;
	for (unsigned i = 0; i < ABILITY_COUNT; i++)
		results[i].verdict = ABILITY_UNKNOWN;
	assert_false(ability_refuses(results, "6.1", &sentence));
}

static void test_doctor_says_it_too(void **state)
{
	static struct doctor_report report;

	(void)state;
	assert_true(doctor_fitness(&report, results, "6.1"));
	assert_int_equal(report.n, 0);
	fails(ABILITY_MIGRATION);
	assert_false(doctor_fitness(&report, results, "5.10"));
	assert_int_equal(report.findings, 1);
	assert_string_equal(report.items[0].id, "kernel.fit");
	assert_non_null(strstr(report.items[0].what, "5.14 or later"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_what_is_needed_is_named_with_its_version, all_works),
		cmocka_unit_test_setup(test_of_several_the_newest_version_is_told, all_works),
		cmocka_unit_test_setup(test_nothing_else_refuses, all_works),
		cmocka_unit_test_setup(test_what_could_not_be_tried_does_not_refuse, all_works),
		cmocka_unit_test_setup(test_doctor_says_it_too, all_works),
	};

	return cmocka_run_group_tests_name("ability", tests, NULL, NULL);
}
