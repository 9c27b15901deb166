/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What joins the rig to cmocka: include it in a test program, list the tests with CASE(), and
 * return cases_run() from main(). Each test gets its own rig as *state. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/libbpf.h>
#include <stdlib.h>
#include <cmocka.h>

#include "client.h"
#include "plane/act/retire.h"
#include "plane/bpf/pins.h"
#include "plane/selftest/selftest.h"
#include "rig.h"
#include "server.h"
#include "util/macro.h"
#include "wire.h"

static inline void case_failed(const char *file, int line, const char *text)
{
	print_error("%s\n", text);
	_fail(file, line);
}

/* Skips the test on a kernel that cannot do this, and names it as hsctl doctor does. Found out by
 * trying, once in a program. */
static inline void case_needs(enum ability ability)
{
	static struct ability_result results[ABILITY_COUNT];
	static uint32_t tried;

	if (!(tried & 1U << ability)) {
		struct selftest *selftest;

		assert_int_equal(selftest_start(1U << ability, &selftest), 0);
		results[ability] =
			selftest_finish(selftest, RIG_DEADLINE_USEC / USEC_PER_MSEC)[ability];
		selftest_free(selftest);
		tried |= 1U << ability;
	}
	if (results[ability].verdict != ABILITY_FAILS)
		return;
	print_message("# needs %s: %s\n", ability_to_string(ability), results[ability].detail);
	skip();
}

/* Only namespaces and the cgroup. */
static inline int case_begin_bare(void **state)
{
	*state = rig_begin();
	return 0;
}

/* With accounting and the plane of a service "web". */
static inline int case_begin(void **state)
{
	struct rig *rig = rig_begin();

	*state = rig;
	rig_planes(rig);
	return 0;
}

static inline int case_end(void **state)
{
	rig_end(*state);
	return 0;
}

#define CASE(test)	cmocka_unit_test_setup_teardown(test, case_begin, case_end)
#define BARE_CASE(test) cmocka_unit_test_setup_teardown(test, case_begin_bare, case_end)

struct cases {
	const char *name;
	const struct CMUnitTest *tests;
	size_t n;
};

static inline int cases_run_child(void *userdata)
{
	const struct cases *cases = userdata;

	rig_on_failure = case_failed;
	libbpf_set_print(NULL);
	return !!_cmocka_run_group_tests(cases->name, cases->tests, cases->n, NULL, NULL);
}

#define cases_run(name, tests) \
	rig_keep(cases_run_child, &(struct cases) {name, tests, ARRAY_SIZE(tests)})

/* Two servers, A in slot 0 and B in slot 1, that listen on the address; adopted, A active. */
struct pair {
	struct server *a, *b;
};

static inline struct server *start_adopted(struct rig *rig, unsigned slot,
					   const struct address *address)
{
	struct server *server = server_start(rig, slot);

	assert_int_equal(server_listen(server, address, 0), 0);
	assert_int_equal(rig_adopt(rig, server), 1);
	return server;
}

static inline struct pair start_pair(struct rig *rig, const struct address *address)
{
	struct pair pair = {start_adopted(rig, 0, address), start_adopted(rig, 1, address)};

	assert_int_equal(hs_word_active(plane_word(rig->plane)), 0);
	return pair;
}

static inline void serve_pair(const struct pair *pair)
{
	server_serve(pair->a, true);
	server_serve(pair->b, true);
}
