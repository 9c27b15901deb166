// SPDX-License-Identifier: GPL-2.0-or-later
/* Which lines of /proc/PID/maps say that a process runs what is not on the disk any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>
#include <cmocka.h>

#include "core/outdated.h"
#include "util/macro.h"

#define CODE "7f1c2000-7f1c9000 r-xp 00001000 fe:01 1234                       "
#define DATA "7f1c2000-7f1c9000 rw-p 00001000 fe:01 1234                       "

static void test_lines(void **state)
{
	static const struct {
		const char *line, *path; /* NULL: it says nothing */
		bool gone;
	} cases[] = {
		{CODE "/usr/sbin/nginx\n", "/usr/sbin/nginx", false},
		{CODE "/usr/sbin/nginx (deleted)\n", "/usr/sbin/nginx", true},
		{CODE "/opt/with blanks/a b", "/opt/with blanks/a b", false},
		{CODE "/opt/with blanks/a b (deleted)", "/opt/with blanks/a b", true},
		/* data may be replaced, the server has read it */
		{DATA "/usr/lib/locale/locale-archive (deleted)\n", NULL, false},
		/* code of its own making, and what is no file */
		{CODE "/memfd:jit (deleted)\n", NULL, false},
		{CODE "/tmp/ffi8aFz (deleted)\n", NULL, false},
		{CODE "/dev/zero (deleted)\n", NULL, false},
		{CODE "[vdso]\n", NULL, false},
		{"7f1c2000-7f1c9000 r-xp 00000000 00:00 0\n", NULL, false},
		{"\n", NULL, false},
		{"r", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[160];
		bool gone = false;
		const char *path;

		snprintf(line, sizeof(line), "%s", cases[i].line);
		path = outdated_mapping(line, &gone);
		if (!cases[i].path) {
			assert_null(path);
			continue;
		}
		assert_non_null(path);
		assert_string_equal(path, cases[i].path);
		assert_int_equal(gone, cases[i].gone);
	}
}

static void test_first_replaced_is_named(void **state)
{
	const struct outdated_file here = {.path = "/usr/lib/libc.so"},
				   first = {.gone = true, .since_usec = 5, .path = "/usr/lib/a.so"},
				   later = {.gone = true, .since_usec = 9, .path = "/usr/lib/b.so"},
				   lost = {.gone = true, .removed = true, .path = "/srv/app"};
	struct outdated outdated = {0};
	char text[OUTDATED_TEXT_MAX];

	(void)state;
	outdated_add(&outdated, &here);
	assert_int_equal(outdated.files, 0);
	outdated_add(&outdated, &lost);
	assert_non_null(
		strstr(outdated_describe(&outdated, text), "an old /srv/app, which was removed"));
	outdated_add(&outdated, &later);
	outdated_add(&outdated, &first);
	outdated_add(&outdated, &here);
	assert_int_equal(outdated.files, 3);
	assert_int_equal(outdated.of.since_usec, 5);
	assert_string_equal(outdated_describe(&outdated, text),
			    "it runs an old /usr/lib/a.so, which was replaced on the disk, and 2 "
			    "other files");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_first_replaced_is_named),
	};

	return cmocka_run_group_tests_name("outdated", tests, NULL, NULL);
}
