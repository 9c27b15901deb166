// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>
#include <cmocka.h>

#include "core/setup/intake.h"
#include "util/macro.h"

/* What is found out, and whether the bind programs are attached. */
static void test_of(void **state)
{
	static const struct {
		struct intake_facts facts;
		enum config_intake intake;
		bool force;
		const char *reason;
	} cases[] = {
		/* nothing seen yet */
		{{INTAKE_AUTO, false, false, false, false, false},
		 INTAKE_FORCED,
		 true,
		 "not known"},
		{{INTAKE_AUTO, true, false, false, false, false},
		 INTAKE_SOCKET,
		 false,
		 "passes the listeners"},
		/* a socket unit has the last word on what it passes in */
		{{INTAKE_AUTO, true, true, true, false, false},
		 INTAKE_SOCKET,
		 false,
		 "passes the listeners"},
		{{INTAKE_AUTO, false, true, false, false, false},
		 INTAKE_OWN,
		 true,
		 "by themselves"},
		{{INTAKE_AUTO, false, false, true, false, false},
		 INTAKE_FORCED,
		 true,
		 "does not set"},
		/* one without is enough */
		{{INTAKE_AUTO, false, true, true, false, false},
		 INTAKE_FORCED,
		 true,
		 "does not set"},
		/* told */
		{{INTAKE_SOCKET, false, true, true, false, false}, INTAKE_SOCKET, false, "Intake="},
		{{INTAKE_OWN, true, false, true, false, false}, INTAKE_OWN, false, "Intake="},
		{{INTAKE_FORCED, true, false, false, false, false}, INTAKE_FORCED, true, "Intake="},
		/* harmless where the server does it, and named so */
		{{INTAKE_FORCED, false, true, false, false, false},
		 INTAKE_OWN,
		 true,
		 "by themselves"},
		{{INTAKE_FORCED, false, true, true, false, false}, INTAKE_FORCED, true, "Intake="},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (intake_of(&cases[i].facts) != cases[i].intake)
			fail_msg("row %zu: %s", i, intake_name(intake_of(&cases[i].facts)));
		assert_int_equal(intake_needs_force(&cases[i].facts), cases[i].force);
		if (!strstr(intake_reason(&cases[i].facts), cases[i].reason))
			fail_msg("row %zu: %s", i, intake_reason(&cases[i].facts));
	}
}

static void test_name(void **state)
{
	(void)state;
	assert_string_equal(intake_name(INTAKE_SOCKET), "socket unit");
	assert_string_equal(intake_name(INTAKE_OWN), "own reuseport");
	assert_string_equal(intake_name(INTAKE_FORCED), "forced");
	assert_non_null(intake_name(INTAKE_COUNT));
}

static void test_mptcp(void **state)
{
	struct intake_facts facts = {0};

	(void)state;
	assert_non_null(strstr(intake_mptcp(&facts, MPTCP_NO), "takes plain TCP"));
	assert_null(strstr(intake_mptcp(&facts, MPTCP_NO), "restarted"));
	assert_non_null(strstr(intake_mptcp(&facts, MPTCP_KEEP), "one slot"));
	facts.mptcp_seen = true;
	assert_non_null(strstr(intake_mptcp(&facts, MPTCP_NO), "until it is restarted"));
	assert_non_null(strstr(intake_mptcp(&facts, MPTCP_KEEP), "one slot"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_mptcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
