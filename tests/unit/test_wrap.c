// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines that are broken between words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "hsctl/wrap.h"
#include "util/macro.h"

static void test_wrap(void **state)
{
	static const struct {
		const char *text, *wrapped;
		unsigned width;
	} cases[] = {
		{"", "", 10},
		{"one two three four\n", "one two three four\n", 0},
		{"one two three four\n", "one two\n  three\n  four\n", 9},
		/* one that fits to the last column */
		{"one two three\n", "one two three\n", 13},
		{"one two three\n", "one two\n  three\n", 12},
		/* a word that is too long stays whole */
		{"see /a/very/long/path now", "see\n  /a/very/long/path\n  now", 12},
		{"/a/very/long/path", "/a/very/long/path", 6},
		/* below what two blanks set off */
		{"ok  id   one two three\n", "ok  id   one two\n         three\n", 18},
		/* not where that leaves no room */
		{"a-long-first-column  one two\n", "a-long-first-column\n  one two\n", 22},
		/* each line by itself, empty ones too */
		{"a b c d\n\nshort\na b c d", "a b c\n  d\n\nshort\na b c\n  d", 6},
		/* colours and letters of several bytes */
		{"\033[31mred\033[0m one two\n", "\033[31mred\033[0m one\n  two\n", 8},
		{"ä ö ü ß\n", "ä ö ü ß\n", 7},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *wrapped = wrap_text(cases[i].text, cases[i].width);

		assert_string_equal(wrapped, cases[i].wrapped);
	}
}

static void test_fits(void **state)
{
	(void)state;
	assert_int_equal(wrap_fits("twelve bytes", 0), 12);
	assert_int_equal(wrap_fits("twelve bytes", 13), 12);
	assert_int_equal(wrap_fits("twelve bytes", 12), 11);
	assert_int_equal(wrap_fits("ääää", 3), 4);
	assert_int_equal(wrap_fits("", 80), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_fits),
	};

	return cmocka_run_group_tests_name("wrap", tests, NULL, NULL);
}
