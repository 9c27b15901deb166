// SPDX-License-Identifier: GPL-2.0-or-later
/* Slot states, the choice of a standby, and the gate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/change/slot.h"
#include "core/word.h"
#include "util/macro.h"

static void states_follow_from_facts(void **state)
{
	static const struct {
		struct slot_facts facts;
		enum slot_state state;
	} cases[] = {
		{{.unit = UNIT_UNKNOWN}, SLOT_UNKNOWN},
		{{.unit = UNIT_UNKNOWN, .sockets = 1}, SLOT_UNKNOWN},
		{{0}, SLOT_UNKNOWN},
		{{.unit = UNIT_DOWN}, SLOT_DOWN},
		{{.unit = UNIT_DOWN, .sockets = 1}, SLOT_DOWN},
		{{.unit = UNIT_STARTING, .sockets = 1}, SLOT_STARTING},
		{{.unit = UNIT_START_POST}, SLOT_STARTING},
		{{.unit = UNIT_START_POST, .sockets = 2}, SLOT_READY},
		{{.unit = UNIT_START_POST, .sockets = 2, .unproven = true}, SLOT_STARTING},
		{{.unit = UNIT_RUNNING, .sockets = 1, .unproven = true}, SLOT_READY},
		{{.unit = UNIT_RUNNING}, SLOT_UNADOPTED},
		{{.unit = UNIT_RUNNING, .sockets = 1}, SLOT_READY},
		{{.unit = UNIT_RUNNING, .sockets = 1, .incomplete = true}, SLOT_INCOMPLETE},
		{{.unit = UNIT_RUNNING, .sockets = 1, .retired = true}, SLOT_LEAVING},
		{{.unit = UNIT_RUNNING, .suspect = true}, SLOT_SUSPECT},
		{{.unit = UNIT_RUNNING, .suspect = true, .full = true}, SLOT_FULL},
		/* with nobody to take over it stays what it is */
		{{.unit = UNIT_RUNNING, .sockets = 1, .full = true}, SLOT_READY},
		{{.unit = UNIT_STOPPING, .sockets = 1}, SLOT_STOPPING},
		{{.unit = UNIT_FAILED}, SLOT_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(slot_state_of(&cases[i].facts), cases[i].state);
}

static void systemd_words(void **state)
{
	(void)state;
	assert_int_equal(unit_state_from_strings("active", "running"), UNIT_RUNNING);
	assert_int_equal(unit_state_from_strings("reloading", "reload"), UNIT_RUNNING);
	assert_int_equal(unit_state_from_strings("refreshing", "refresh-extensions"), UNIT_RUNNING);
	assert_int_equal(unit_state_from_strings("activating", "start"), UNIT_STARTING);
	assert_int_equal(unit_state_from_strings("activating", "auto-restart"), UNIT_STARTING);
	assert_int_equal(unit_state_from_strings("activating", "start-post"), UNIT_START_POST);
	assert_int_equal(unit_state_from_strings("deactivating", "stop-sigterm"), UNIT_STOPPING);
	assert_int_equal(unit_state_from_strings("failed", "failed"), UNIT_FAILED);
	assert_int_equal(unit_state_from_strings("inactive", "dead"), UNIT_DOWN);
	assert_int_equal(unit_state_from_strings("", ""), UNIT_DOWN);
	assert_int_equal(unit_state_from_strings("maintenance", "cleaning"), UNIT_DOWN);
	assert_int_equal(unit_state_from_strings("rejuvenating", "running"), UNIT_UNKNOWN);
}

static void the_standby_is_the_next_ready_one(void **state)
{
	enum slot_state states[] = {SLOT_READY, SLOT_READY, SLOT_DOWN, SLOT_READY};

	(void)state;
	assert_int_equal(slot_pick_standby(states, 4, 0), 1);
	assert_int_equal(slot_pick_standby(states, 4, 1), 3);
	assert_int_equal(slot_pick_standby(states, 4, 3), 0);
	assert_int_equal(slot_pick_standby(states, 4, HS_SLOT_NONE), 0);
	assert_int_equal(slots_ready(states, 4), 0xb);
	states[0] = states[3] = SLOT_FAILED;
	assert_int_equal(slot_pick_standby(states, 4, 1), HS_SLOT_NONE);
}

static void the_gate(void **state)
{
	static const enum slot_state two[] = {SLOT_READY, SLOT_READY};
	static const enum slot_state lame[] = {SLOT_READY, SLOT_INCOMPLETE};
	static const enum slot_state three[] = {SLOT_READY, SLOT_DOWN, SLOT_FAILED};
	static const struct {
		struct gate_request request;
		enum gate_answer answer;
		unsigned to;
	} cases[] = {
		{{two, 2, 0, GATE_STANDBY, false, NULL, false}, GATE_OPEN, 1},
		{{two, 2, 0, 1, false, NULL, false}, GATE_OPEN, 1},
		{{two, 2, 0, 0, false, NULL, false}, GATE_ALREADY_ACTIVE, 0},
		{{two, 2, 0, 2, false, NULL, false}, GATE_NO_SUCH_SLOT, 2},
		{{two, 2, 0, 15, false, NULL, false}, GATE_NO_SUCH_SLOT, 15},
		{{two, 2, 0, 1, true, NULL, false}, GATE_BUSY, 1},
		{{two, 2, HS_SLOT_NONE, GATE_STANDBY, false, NULL, false}, GATE_OPEN, 0},
		{{lame, 2, 0, GATE_STANDBY, false, NULL, false}, GATE_NOT_READY, 1},
		{{lame, 2, 0, 1, false, NULL, false}, GATE_NOT_READY, 1},
		{{three, 3, 0, GATE_STANDBY, false, NULL, false}, GATE_NO_STANDBY, HS_SLOT_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned to;

		assert_int_equal(gate_check(&cases[i].request, &to), cases[i].answer);
		assert_int_equal(to, cases[i].to);
	}
}

static void the_gate_minds_health(void **state)
{
	static const enum slot_state ready[] = {SLOT_READY, SLOT_READY, SLOT_READY, SLOT_READY};
	static const enum slot_state lame[] = {SLOT_READY, SLOT_DOWN, SLOT_READY, SLOT_READY};
	static const struct slot_health ill[] = {
		{HEALTH_GOOD, ""}, {HEALTH_BAD, "x"}, {HEALTH_BAD, "y"}, {HEALTH_BAD, "z"}};
	static const struct slot_health fresh[] = {
		{HEALTH_BAD, ""}, {HEALTH_BAD, "x"}, {HEALTH_UNKNOWN, ""}, {HEALTH_BAD, "z"}};
	static const struct slot_health mixed[] = {
		{HEALTH_BAD, ""}, {HEALTH_UNKNOWN, "x"}, {HEALTH_BAD, "y"}, {HEALTH_GOOD, ""}};
	static const struct {
		struct gate_request request;
		enum gate_answer answer;
		unsigned to;
	} cases[] = {
		{{ready, 4, 0, 1, false, ill, false}, GATE_UNHEALTHY, 1},
		{{ready, 4, 0, 1, false, ill, true}, GATE_OPEN, 1},
		{{ready, 4, 0, GATE_STANDBY, false, ill, false}, GATE_UNHEALTHY, 1},
		{{ready, 4, 0, GATE_STANDBY, false, ill, true}, GATE_OPEN, 1},
		{{lame, 4, 0, GATE_STANDBY, false, ill, true}, GATE_OPEN, 2},
		{{lame, 4, 0, 1, false, ill, true}, GATE_NOT_READY, 1},
		{{ready, 4, 0, 2, false, fresh, false}, GATE_UNPROVEN, 2},
		{{ready, 4, 0, GATE_STANDBY, false, fresh, false}, GATE_UNPROVEN, 2},
		{{ready, 4, 0, GATE_STANDBY, false, mixed, false}, GATE_OPEN, 3},
		{{ready, 4, 0, 1, false, mixed, false}, GATE_UNPROVEN, 1},
		{{ready, 4, 3, GATE_STANDBY, false, mixed, false}, GATE_UNPROVEN, 1},
		{{ready, 4, 0, 1, true, ill, true}, GATE_BUSY, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned to;

		if (gate_check(&cases[i].request, &to) != cases[i].answer || to != cases[i].to)
			fail_msg("row %zu: to %u", i, to);
	}
}

/* Thing, reason, remedy: the service and the slot are named in every refusal. */
static void refusals_are_sentences(void **state)
{
	struct problem text;

	(void)state;
	for (unsigned answer = GATE_BUSY; answer < GATE_ANSWER_COUNT; answer++) {
		text.text[0] = '\0';
		gate_describe(answer, "app", 1, SLOT_FAILED, &text);
		assert_non_null(strstr(text.text, "app"));
		assert_true(strlen(text.text) > 20);
	}
	for (unsigned s = 0; s < SLOT_STATE_COUNT; s++) {
		gate_describe(GATE_NOT_READY, "app", 1, s, &text);
		assert_non_null(strstr(text.text, "app@1.service"));
		assert_non_null(strstr(text.text, slot_state_to_string(s)));
	}
}

/* What systemd has not told of is no reason to go there, nor to call it down. */
static void what_is_not_known_is_not_switched_to(void **state)
{
	static const enum slot_state states[] = {SLOT_READY, SLOT_UNKNOWN};
	struct gate_request request = {.states = states, .n = 2, .active = 0, .to = GATE_STANDBY};
	struct problem text;
	unsigned to;

	(void)state;
	assert_int_equal(gate_check(&request, &to), GATE_NOT_READY);
	assert_int_equal(to, 1);
	gate_describe(GATE_NOT_READY, "app", to, states[to], &text);
	assert_non_null(strstr(text.text, "unknown"));
	assert_non_null(strstr(text.text, "systemd"));
	assert_null(strstr(text.text, "down"));
}

static void roles_follow_the_word(void **state)
{
	uint64_t word = word_activate(WORD_INITIAL, WORD_ARGS(.to = 2));

	(void)state;
	word = word_set_canary(word, WORD_ARGS(.to = 1, .share = 100));
	assert_int_equal(slot_role_of(word, 2), ROLE_ACTIVE);
	assert_int_equal(slot_role_of(word, 1), ROLE_CANARY);
	assert_int_equal(slot_role_of(word, 0), ROLE_STANDBY);
	assert_string_equal(slot_role_to_string(ROLE_COUNT), "unknown");
	assert_string_equal(slot_state_to_string(SLOT_STATE_COUNT), "unknown");
	assert_string_equal(slot_state_to_string(SLOT_UNKNOWN), "unknown");
}

static void who_is_starting_proves_nothing(void **state)
{
	static const enum slot_state states[] = {SLOT_READY, SLOT_STARTING, SLOT_STOPPING};

	(void)state;
	assert_int_equal(slots_proven(states, 3, 7), 5);
	assert_int_equal(slots_proven(states, 3, 2), 0);
	assert_int_equal(slots_proven(states, 3, 4), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_follow_from_facts),
		cmocka_unit_test(who_is_starting_proves_nothing),
		cmocka_unit_test(what_is_not_known_is_not_switched_to),
		cmocka_unit_test(systemd_words),
		cmocka_unit_test(the_standby_is_the_next_ready_one),
		cmocka_unit_test(the_gate),
		cmocka_unit_test(the_gate_minds_health),
		cmocka_unit_test(refusals_are_sentences),
		cmocka_unit_test(roles_follow_the_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
