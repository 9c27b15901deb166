/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/right.h: which right a method needs, and what is said without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/right.h"
#include "util/macro.h"

static void methods_have_their_right(void **state)
{
	static const struct {
		const char *method, *verb, *slot;
		enum right right;
	} expected[] = {
		{"Switchover", "switchover", "i", RIGHT_SWITCHOVER},
		{"Rollback", "rollback", "", RIGHT_SWITCHOVER},
		{"Failover", "failover", "i", RIGHT_FAILOVER},
		{"Upgrade", "upgrade", "", RIGHT_UPGRADE},
		{"CancelUpgrade", "cancel-upgrade", "", RIGHT_UPGRADE},
		{"Drain", "drain", "u", RIGHT_DRAIN},
		{"CancelDrain", "cancel-drain", "", RIGHT_DRAIN},
		{"Park", "park", "", RIGHT_PARK},
		{"Release", "release", "", RIGHT_PARK},
		{"SetCanary", "canary", "ui", RIGHT_CANARY},
		{"Exec", "exec", "u", RIGHT_EXEC},
		{"SetPolicy", "policy", "", RIGHT_CONFIGURE},
		{"SetHash", "policy", "", RIGHT_CONFIGURE},
		{"SetWeight", "weight", "u", RIGHT_CONFIGURE},
		{"SetPinned", "pin", "", RIGHT_CONFIGURE},
		{"SetSlots", "scale", "", RIGHT_CONFIGURE},
		{"Rebalance", "rebalance", "", RIGHT_CONFIGURE},
		{"Table", "table", "", RIGHT_CONFIGURE},
		{"Where", "where", "", RIGHT_CONFIGURE},
		{"Reload", "reload", "", RIGHT_CONFIGURE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct guarded *guarded = right_of_method(expected[i].method);

		assert_non_null(guarded);
		assert_string_equal(guarded->verb, expected[i].verb);
		assert_string_equal(guarded->slot, expected[i].slot);
		assert_int_equal(guarded->right, expected[i].right);
	}
}

/* Nobody is asked about what is for everybody, and nobody may be asked about what is root's. */
static void others_have_none(void **state)
{
	static const char *const others[] = {"Describe", "ListServices", "GetService", "Prepare",
					     "Adopt",	 "Retire",	 "park",       ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_null(right_of_method(others[i]));
}

static void a_rollback_of_an_upgrade_is_another_matter(void **state)
{
	(void)state;
	assert_int_equal(right_needed(right_of_method("Rollback"), false), RIGHT_SWITCHOVER);
	assert_int_equal(right_needed(right_of_method("Rollback"), true), RIGHT_UPGRADE);
	assert_int_equal(right_needed(right_of_method("Park"), true), RIGHT_PARK);
}

/* Without a second question. */
static void who_begins_may_end(void **state)
{
	static const struct {
		const char *method;
		enum right_end ends;
	} enders[] = {{"CancelUpgrade", RIGHT_ENDS_UPGRADE}, {"CancelDrain", RIGHT_ENDS_DRAIN}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(enders); i++) {
		const struct guarded *guarded = right_of_method(enders[i].method);
		const char *action = right_to_action(guarded->right);

		assert_int_equal(guarded->ends, enders[i].ends);
		assert_true(right_may_end(guarded, 1000, 1000, action));
		assert_false(right_may_end(guarded, 1001, 1000, action));
		/* as root of whom nobody knows who it was, or by another right */
		assert_false(right_may_end(guarded, UINT32_MAX, UINT32_MAX, action));
		assert_false(right_may_end(guarded, 1000, 1000, RIGHT_OF_GROUP));
		assert_false(right_may_end(guarded, 1000, 1000, ""));
	}
	assert_false(right_may_end(right_of_method("Upgrade"), 1000, 1000,
				   right_to_action(RIGHT_UPGRADE)));
}

static void members_may_exec_alone(void **state)
{
	(void)state;
	assert_true(right_is_of_members(right_of_method("Exec")));
	assert_false(right_is_of_members(right_of_method("Switchover")));
	assert_false(right_is_of_members(right_of_method("Where")));
}

static void actions_are_ours_and_differ(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RIGHT_COUNT; i++) {
		assert_memory_equal(right_to_action(i), "org.hotstandby1.", 16);
		assert_true(strlen(right_to_action(i)) < RIGHT_NAME_MAX);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(right_to_action(i), right_to_action(j));
	}
}

static void refusals_name_the_right_and_a_remedy(void **state)
{
	struct problem sentence;
	char detail[400];

	(void)state;
	memset(detail, 'x', sizeof(detail) - 1);
	detail[sizeof(detail) - 1] = '\0';
	for (unsigned i = RIGHT_DENIED; i < RIGHT_ANSWER_COUNT; i++) {
		right_describe(i, RIGHT_PARK, detail, &sentence);
		assert_non_null(strstr(sentence.text, "only root may do this"));
		assert_non_null(strstr(sentence.text, "org.hotstandby1.park"));
		assert_non_null(strstr(sentence.text, "sudo"));
		assert_true(strlen(sentence.text) < PROBLEM_TEXT_MAX - 1);
	}
	right_describe(RIGHT_BROKEN, RIGHT_PARK, "it was killed", &sentence);
	assert_non_null(strstr(sentence.text, "(polkit: it was killed)"));
	right_describe(RIGHT_BROKEN, RIGHT_PARK, "", &sentence);
	assert_null(strstr(sentence.text, "polkit:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_have_their_right),
		cmocka_unit_test(others_have_none),
		cmocka_unit_test(a_rollback_of_an_upgrade_is_another_matter),
		cmocka_unit_test(who_begins_may_end),
		cmocka_unit_test(members_may_exec_alone),
		cmocka_unit_test(actions_are_ours_and_differ),
		cmocka_unit_test(refusals_name_the_right_and_a_remedy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
