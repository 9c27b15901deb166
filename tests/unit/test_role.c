/* SPDX-License-Identifier: GPL-2.0-or-later */
/* core/role: values of OnDemote= and OnPromote=, the names of units made from them, and who is to
 * be told what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "core/role.h"
#include "hs_abi.h"
#include "util/macro.h"

static int parse(const char *value, struct role_action *ret_action, struct problem *problem)
{
	struct setting_text text = {"OnPromote", value, problem};

	return role_parse(&text, ret_action);
}

static void check_signal(const char *value, int signal)
{
	struct role_action action;

	assert_int_equal(parse(value, &action, NULL), 0);
	assert_int_equal(action.means, ROLE_BY_SIGNAL);
	assert_int_equal(action.signal, signal);
}

static void test_signals(void **state)
{
	char text[ROLE_SIGNAL_MAX];

	(void)state;
	check_signal("SIGUSR1", SIGUSR1);
	check_signal("USR2", SIGUSR2);
	check_signal("HUP", SIGHUP);
	check_signal("SIGWINCH", SIGWINCH);
	check_signal("SIGSYS", SIGSYS);
	check_signal("SIGRTMIN", SIGRTMIN);
	check_signal("RTMIN+3", SIGRTMIN + 3);
	check_signal("SIGRTMAX", SIGRTMAX);
	check_signal("SIGRTMAX-1", SIGRTMAX - 1);
	assert_string_equal(role_signal_name(SIGUSR1, text), "SIGUSR1");
	assert_string_equal(role_signal_name(SIGRTMIN, text), "SIGRTMIN");
	assert_string_equal(role_signal_name(SIGRTMIN + 3, text), "SIGRTMIN+3");
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"SIGKILL",     "KILL",	       "SIGSTOP",     "SIG",	     "SIGFOO",
		"sigusr1",     "10",	       "SIGRTMIN+99", "SIGRTMIN-1",  "SIGRTMIN+",
		"SIGRTMAX+1",  "leader",       "leader.",     ".service",    "@.service",
		"a b.service", "a/b.service",  "x.slice",     "x.scope",     "x.device",
		"%n.service",  "x%",	       "SIGUSR1 x",   "leader@.srv", "l\xc3\xa9.service",
		"/bin/true",   "x.service; y",
	};
	struct role_action action = {.means = ROLE_BY_SIGNAL, .signal = 7};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct problem problem = {0};

		if (parse(bad[i], &action, &problem) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_non_null(strstr(problem.text, "OnPromote="));
		assert_non_null(strstr(problem.text, "allowed is"));
		/* it is as it was */
		assert_int_equal(action.signal, 7);
	}
}

static void test_too_long(void **state)
{
	char value[400];
	struct role_action action;

	(void)state;
	memset(value, 'a', sizeof(value));
	strcpy(value + sizeof(value) - 9, ".service");
	assert_int_equal(parse(value, &action, NULL), -EINVAL);
}

static void test_reset(void **state)
{
	struct role_action action = {.means = ROLE_BY_SIGNAL};

	(void)state;
	assert_int_equal(parse("", &action, NULL), 0);
	assert_int_equal(action.means, ROLE_UNTOLD);
}

static void check_unit(const char *value, const char *unit)
{
	char name[UNIT_NAME_MAX];
	struct role_action action;

	assert_int_equal(parse(value, &action, NULL), 0);
	assert_int_equal(action.means, ROLE_BY_UNIT);
	assert_int_equal(role_unit(&action, "app", 11, name), 0);
	assert_string_equal(name, unit);
}

static void test_units(void **state)
{
	(void)state;
	check_unit("leader.service", "leader.service");
	check_unit("leader@.service", "leader@11.service");
	check_unit("leader@x.target", "leader@x.target");
	check_unit("leader@%i.service", "leader@11.service");
	check_unit("role@%p-%i.service", "role@app-11.service");
	check_unit("%p-leader@.service", "app-leader@11.service");
	check_unit("a.b@.timer", "a.b@11.timer");
	check_unit("my\\x2dunit.path", "my\\x2dunit.path");
}

static void test_unit_too_long(void **state)
{
	char service[SERVICE_NAME_MAX], name[UNIT_NAME_MAX] = "as it was";
	struct role_action action;

	(void)state;
	memset(service, 'x', sizeof(service) - 1);
	service[sizeof(service) - 1] = '\0';
	assert_int_equal(parse("%p%p.service", &action, NULL), 0);
	assert_int_equal(role_unit(&action, service, 0, name), -EINVAL);
	assert_string_equal(name, "as it was");
}

static void test_pack(void **state)
{
	struct role_told told = {true, true, 15, UINT64_C(0xabcdef012345)}, back;

	(void)state;
	role_told_unpack(role_told_pack(&told), &back);
	assert_true(back.known && back.told);
	assert_int_equal(back.slot, 15);
	assert_int_equal(back.run, told.run);
	told.told = false;
	role_told_unpack(role_told_pack(&told), &back);
	assert_true(back.known && !back.told);
	role_told_unpack(0, &back);
	assert_false(back.known);
	assert_int_equal(role_told_pack(&back), 0);
	assert_int_equal(role_run("abcdef0123456789abcdef0123456789"), UINT64_C(0xabcdef012345));
	assert_int_equal(role_run(""), 0);
	assert_int_equal(role_run("abc"), 0);
	assert_int_equal(role_run("xyzxyzxyzxyzxyz"), 0);
}

/* ---- who is told ---- */

#define NOBODY HS_SLOT_NONE

static const struct role_case {
	const char *name;
	struct role_told told;
	struct role_now now;
	unsigned demote, promote;
	bool record, departs;
} cases[] = {
	{"first", {0}, {{0, true, 7}, {NOBODY, false, 0}, {true, true}}, NOBODY, 0, true, false},
	{"the same",
	 {true, true, 0, 7},
	 {{0, true, 7}, {0, true, 7}, {true, true}},
	 NOBODY,
	 NOBODY,
	 false,
	 false},
	{"another",
	 {true, true, 0, 7},
	 {{1, true, 8}, {0, true, 7}, {true, true}},
	 0,
	 1,
	 true,
	 true},
	{"the old one is dead",
	 {true, true, 0, 7},
	 {{1, true, 8}, {0, false, 7}, {true, true}},
	 NOBODY,
	 1,
	 true,
	 false},
	{"the old one runs anew",
	 {true, true, 0, 7},
	 {{1, true, 8}, {0, true, 9}, {true, true}},
	 NOBODY,
	 1,
	 true,
	 false},
	{"the same slot runs anew",
	 {true, true, 0, 7},
	 {{0, true, 9}, {0, true, 9}, {true, true}},
	 NOBODY,
	 0,
	 true,
	 false},
	{"Slots= is less now",
	 {true, true, 5, 7},
	 {{1, true, 8}, {NOBODY, false, 0}, {true, true}},
	 NOBODY,
	 1,
	 true,
	 false},
	{"no active one",
	 {true, true, 0, 7},
	 {{NOBODY, false, 0}, {0, true, 7}, {true, true}},
	 NOBODY,
	 NOBODY,
	 false,
	 false},
	{"the active one is dead",
	 {true, true, 0, 7},
	 {{1, false, 8}, {0, true, 7}, {true, true}},
	 NOBODY,
	 NOBODY,
	 false,
	 false},
	{"no name of its run",
	 {true, true, 0, 7},
	 {{1, true, 0}, {0, true, 7}, {true, true}},
	 NOBODY,
	 NOBODY,
	 false,
	 false},
	{"OnDemote= only",
	 {true, false, 0, 7},
	 {{1, true, 8}, {0, true, 7}, {true, false}},
	 0,
	 NOBODY,
	 true,
	 true},
	{"OnPromote= only",
	 {true, true, 0, 7},
	 {{1, true, 8}, {0, true, 7}, {false, true}},
	 NOBODY,
	 1,
	 true,
	 true},
	{"OnPromote= is new",
	 {true, false, 0, 7},
	 {{0, true, 7}, {0, true, 7}, {true, true}},
	 NOBODY,
	 0,
	 true,
	 false},
	{"OnPromote= is gone",
	 {true, true, 0, 7},
	 {{0, true, 7}, {0, true, 7}, {true, false}},
	 NOBODY,
	 NOBODY,
	 false,
	 false},
};

static void test_decide(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct role_case *c = &cases[i];
		struct role_order order;

		role_decide(&c->told, &c->now, &order);
		if (order.record != c->record || order.departs != c->departs ||
		    order.slots[ROLE_DEMOTE] != c->demote ||
		    order.slots[ROLE_PROMOTE] != c->promote)
			fail_msg("%s: record %d departs %d demote %u promote %u", c->name,
				 order.record, order.departs, order.slots[ROLE_DEMOTE],
				 order.slots[ROLE_PROMOTE]);
		if (!order.record)
			continue;
		assert_true(order.told.known);
		assert_int_equal(order.told.slot, c->now.active.slot);
		assert_int_equal(order.told.run, c->now.active.run);
		assert_int_equal(order.told.told, c->now.wanted[ROLE_PROMOTE]);
	}
}

/* Whatever has happened in between, a second look tells nobody anything. */
static void test_decide_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct role_now now = cases[i].now;
		struct role_order order;

		role_decide(&cases[i].told, &now, &order);
		now.before = now.active;
		role_decide(&order.told, &now, &order);
		if (!cases[i].record)
			continue;
		assert_false(order.record);
		assert_int_equal(order.slots[ROLE_DEMOTE], NOBODY);
		assert_int_equal(order.slots[ROLE_PROMOTE], NOBODY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals),	     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_long),     cmocka_unit_test(test_reset),
		cmocka_unit_test(test_units),	     cmocka_unit_test(test_unit_too_long),
		cmocka_unit_test(test_pack),	     cmocka_unit_test(test_decide),
		cmocka_unit_test(test_decide_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
