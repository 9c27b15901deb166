/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hsctl/verb/elsewhere: words for the shell of another machine, and which words those are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "hsctl/commandline.h"
#include "hsctl/verb/elsewhere.h"
#include "hsctl/verb_table.h"
#include "util/macro.h"

static void test_quote(void **state)
{
	static const char *const words[] = {"history", "", "a b", "it's", "$HOME; `x` \"y\" \\"};
	_cleanup_(freep) char *line = elsewhere_quote(words, ARRAY_SIZE(words));
	_cleanup_(freep) char *none = elsewhere_quote(words, 0);

	(void)state;
	assert_string_equal(line, "'history' '' 'a b' 'it'\\''s' '$HOME; `x` \"y\" \\'");
	assert_string_equal(none, "");
}

/* All but who the other machine is, however that is said. */
static void test_words(void **state)
{
	static char *lines[][8] = {
		{"hsctl", "-H", "web", "events", "app", "-n", "5", NULL},
		{"hsctl", "-Hweb", "events", "app", "-n", "5", NULL},
		{"hsctl", "events", "--host=web", "app", "-n", "5", NULL},
		{"hsctl", "events", "app", "-n", "5", "--host", "web", NULL},
		{"hsctl", "events", "-M", "web", "app", "-n", "5", NULL},
		{"hsctl", "events", "app", "-n", "5", "--machine=web", NULL},
	};
	static const char *const words[] = {"events", "app", "-n", "5"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct problem problem = {0};
		struct arguments a;
		int n = 0;

		while (lines[i][n])
			n++;
		if (arguments_parse(n, lines[i], &a, &problem))
			fail_msg("%zu: %s", i, problem.text);
		assert_int_equal(a.n_words, ARRAY_SIZE(words));
		for (size_t word = 0; word < ARRAY_SIZE(words); word++)
			assert_string_equal(a.words[word], words[word]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_words),
	};

	verb_table_use();
	return cmocka_run_group_tests_name("elsewhere", tests, NULL, NULL);
}
