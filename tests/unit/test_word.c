/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/word: the changes that may be made to the routing word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/word.h"

#define GENERATIONS (1U << 24)

/* Everything but the generation. */
static uint64_t fields(uint64_t word)
{
	return word & ((1ULL << HS_WORD_GENERATION_SHIFT) - 1);
}

static void test_layout(void **state)
{
	/* what another program may have written, field by field */
	uint64_t word =
		0x123456ULL << 40 | 0xaULL << 36 | 2ULL << 32 | 0x8001ULL << 16 | 7 << 8 | 3;

	(void)state;
	assert_int_equal(hs_word_active(word), 3);
	assert_int_equal(hs_word_canary(word), 7);
	assert_int_equal(hs_word_share(word), 0x8001);
	assert_int_equal(hs_word_policy(word), HS_POLICY_HASH);
	assert_int_equal(word_generation(word), 0x123456);
}

static void test_initial(void **state)
{
	(void)state;
	assert_int_equal(hs_word_active(WORD_INITIAL), HS_SLOT_NONE);
	assert_int_equal(hs_word_canary(WORD_INITIAL), HS_SLOT_NONE);
	assert_int_equal(hs_word_share(WORD_INITIAL), 0);
	assert_int_equal(hs_word_policy(WORD_INITIAL), HS_POLICY_STANDBY);
	assert_int_equal(word_generation(WORD_INITIAL), 0);
}

static void test_a_change_changes_one_field(void **state)
{
	uint64_t word = 0x000005ffULL << 32 | 0x1234ULL << 16 | 7 << 8 | 3, next;

	(void)state;
	next = word_with_active(word, 9);
	assert_int_equal(fields(next), (fields(word) & ~0xffULL) | 9);
	next = word_with_policy(word, HS_POLICY_PARITY);
	assert_int_equal(fields(next), (fields(word) & ~(0xfULL << 32)) | 1ULL << 32);
	next = word_with_canary(word, 4, 0x4321);
	assert_int_equal(fields(next), (fields(word) & ~0xffffff00ULL) | 0x4321ULL << 16 | 4 << 8);
}

static void test_each_change_is_a_generation(void **state)
{
	uint64_t word = WORD_INITIAL;

	(void)state;
	word = word_with_active(word, 1);
	assert_int_equal(word_generation(word), 1);
	/* also one that changes nothing else: who compares and swaps must notice */
	word = word_with_active(word, 1);
	assert_int_equal(word_generation(word), 2);
	word = word_with_policy(word, HS_POLICY_HASH);
	word = word_with_canary(word, 2, 100);
	assert_int_equal(word_generation(word), 4);
	/* the canary becomes active: one change, not two */
	word = word_with_active(word, 2);
	assert_int_equal(word_generation(word), 5);
}

static void test_generation_wraps_within_its_field(void **state)
{
	uint64_t word = word_with_active(WORD_INITIAL, 1);

	(void)state;
	word |= (uint64_t)(GENERATIONS - 1) << HS_WORD_GENERATION_SHIFT;
	assert_int_equal(word_generation(word), GENERATIONS - 1);
	assert_int_equal(word_generation(word_with_active(word, 0)), 0);
	assert_int_equal(hs_word_active(word_with_active(word, 0)), 0);
}

static void test_the_active_is_no_canary(void **state)
{
	uint64_t word = word_with_canary(word_with_active(WORD_INITIAL, 0), 1, 500);

	(void)state;
	word = word_with_active(word, 1);
	assert_int_equal(hs_word_canary(word), HS_SLOT_NONE);
	assert_int_equal(hs_word_share(word), 0);
	word = word_with_canary(word, 2, 500);
	word = word_with_active(word, 0);
	assert_int_equal(hs_word_canary(word), 2);
	assert_int_equal(hs_word_share(word), 500);
}

static void test_no_canary(void **state)
{
	uint64_t word = word_with_canary(WORD_INITIAL, 3, 500);

	(void)state;
	assert_int_equal(fields(word_with_canary(word, HS_SLOT_NONE, 500)), fields(WORD_INITIAL));
	assert_int_equal(fields(word_with_canary(word, 3, 0)), fields(WORD_INITIAL));
	assert_int_equal(fields(word_with_canary(word, HS_SLOTS_MAX, 9)), fields(WORD_INITIAL));
	/* more than all is all that there is */
	assert_int_equal(hs_word_share(word_with_canary(word, 3, 65536)), WORD_SHARE_MAX);
	assert_int_equal(hs_word_share(word_with_canary(word, 3, UINT32_MAX)), WORD_SHARE_MAX);
}

static void test_out_of_range_changes_nothing(void **state)
{
	uint64_t word = word_with_policy(word_with_active(WORD_INITIAL, 3), HS_POLICY_HASH);

	(void)state;
	assert_int_equal(fields(word_with_active(word, HS_SLOTS_MAX)), fields(word));
	assert_int_equal(fields(word_with_active(word, HS_SLOT_NONE)), fields(word));
	assert_int_equal(fields(word_with_active(word, 256)), fields(word));
	assert_int_equal(fields(word_with_policy(word, HS_POLICY_COUNT)), fields(word));
}

/* Flags of later versions survive every change. */
static void test_flags(void **state)
{
	uint64_t word = word_with_flag(WORD_INITIAL, HS_FLAG_PARK_ALL, true);

	(void)state;
	assert_int_equal(hs_word_flags(word), HS_FLAG_PARK_ALL);
	word = word_with_flag(word, HS_FLAG_EXCLUSIVE, true);
	assert_int_equal(hs_word_flags(word), HS_FLAG_PARK_ALL | HS_FLAG_EXCLUSIVE);
	word = word_with_flag(word, HS_FLAG_PARK_ALL, false);
	assert_int_equal(hs_word_flags(word), HS_FLAG_EXCLUSIVE);
	assert_int_equal(fields(word_with_flag(word, HS_FLAG_EXCLUSIVE, false)),
			 fields(WORD_INITIAL));
	assert_int_equal(word_generation(word), 3);
}

static void test_unknown_flags_survive(void **state)
{
	uint64_t flags = 0xfULL << HS_WORD_FLAGS_SHIFT, word = WORD_INITIAL | flags;

	(void)state;
	assert_int_equal(word_with_active(word, 1) & flags, flags);
	assert_int_equal(word_with_policy(word, HS_POLICY_HASH) & flags, flags);
	assert_int_equal(word_with_canary(word, 1, 1) & flags, flags);
}

static void test_policy_names(void **state)
{
	(void)state;
	for (unsigned policy = 0; policy < HS_POLICY_COUNT; policy++)
		assert_int_equal(policy_from_string(policy_to_string(policy)), policy);
	assert_string_equal(policy_to_string(HS_POLICY_PARITY), "parity");
	assert_string_equal(policy_to_string(HS_POLICY_COUNT), "unknown");
	assert_string_equal(policy_to_string(15), "unknown");
	assert_int_equal(policy_from_string("unknown"), HS_POLICY_COUNT);
	assert_int_equal(policy_from_string(""), HS_POLICY_COUNT);
	assert_int_equal(policy_from_string("Standby"), HS_POLICY_COUNT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_initial),
		cmocka_unit_test(test_a_change_changes_one_field),
		cmocka_unit_test(test_each_change_is_a_generation),
		cmocka_unit_test(test_generation_wraps_within_its_field),
		cmocka_unit_test(test_the_active_is_no_canary),
		cmocka_unit_test(test_no_canary),
		cmocka_unit_test(test_out_of_range_changes_nothing),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_unknown_flags_survive),
		cmocka_unit_test(test_policy_names),
	};

	return cmocka_run_group_tests_name("word", tests, NULL, NULL);
}
