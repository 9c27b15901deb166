// SPDX-License-Identifier: GPL-2.0-or-later
/* core/presence: what a host says of itself, and how each kind of balancer hears it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/presence.h"
#include "util/macro.h"

static const struct {
	struct presence_facts facts;
	const char *line;
	int exit;
} cases[] = {
	{{.live = 1, .slots = 2, .weight = 100}, "up ready 100%\n", 0},
	{{.live = 3, .slots = 4, .weight = 75}, "up ready 75%\n", 77},
	{{.live = 1, .slots = 16, .weight = 0}, "up ready 1%\n", 3},
	{{.live = 1, .slots = 2, .weight = 100, .left = true}, "up drain\n", 2},
	{{.live = 2, .slots = 2, .weight = 100, .held = true},
	 "down #new connections are held by hsctl park\n",
	 1},
	/* who has left and is held is down all the same */
	{{.live = 2, .slots = 2, .held = true, .left = true},
	 "down #new connections are held by hsctl park\n",
	 1},
	{{.live = 2, .slots = 3, .kept = 2}, "down #no host is well\n", 1},
	{{.live = 2, .slots = 3, .kept = 1, .weight = 100}, "up ready 100%\n", 0},
	{{.slots = 2, .retired = 1}, "down #no slot is ready\n", 1},
	{{.slots = 2, .retired = 2}, "down #it is stopped on purpose\n", 1},
	{{.unknown = true}, "down #there is no such service here\n", 1},
};

static void each_is_told(void **state)
{
	char text[PRESENCE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct presence presence = presence_judge(&cases[i].facts);

		presence_line(&presence, text);
		assert_string_equal(text, cases[i].line);
		assert_int_equal(presence_exit(&presence), cases[i].exit);
	}
}

static void by_http_only_up_is_200(void **state)
{
	char text[PRESENCE_TEXT_MAX], *body;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct presence presence = presence_judge(&cases[i].facts);
		bool up = presence.state == PRESENCE_UP;

		presence_http(&presence, text);
		assert_int_equal(strncmp(text, up ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 503 ", 13),
				 0);
		body = strstr(text, "\r\n\r\n");
		assert_non_null(body);
		assert_int_equal(atoi(strstr(text, "Content-Length: ") + 16), strlen(body + 4));
		assert_non_null(strstr(body, presence.reason));
	}
}

/* What agents say, ours and others'. */
static void a_line_is_understood(void **state)
{
	static const struct {
		const char *line;
		int state; /* -1: it says nothing */
		const char *reason;
	} lines[] = {
		{"up ready 100%\n", PRESENCE_UP, ""},
		{"up drain\r\n", PRESENCE_DRAIN, ""},
		{"drain", PRESENCE_DRAIN, ""},
		{"DOWN #no slot is ready\n", PRESENCE_DOWN, "no slot is ready"},
		{"50% ready", PRESENCE_UP, ""},
		{"up,ready#x", PRESENCE_UP, "x"},
		{"maint", PRESENCE_DOWN, ""},
		{"stopped", PRESENCE_DOWN, ""},
		{"up down", PRESENCE_DOWN, ""},
		{"50%", -1, ""},
		{"up ready 0%", PRESENCE_DRAIN, ""},
		{"up 100%", PRESENCE_UP, ""},
		{"", -1, ""},
		{"HTTP/1.1 400 Bad Request", -1, ""},
		{"#up", -1, "up"},
		{"updown", -1, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		enum presence_state said = 99;
		struct problem reason;
		bool known = presence_read(lines[i].line, &said, &reason);

		assert_int_equal(known, lines[i].state >= 0);
		assert_string_equal(reason.text, lines[i].reason);
		if (known)
			assert_int_equal(said, lines[i].state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_told),
		cmocka_unit_test(by_http_only_up_is_200),
		cmocka_unit_test(a_line_is_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
