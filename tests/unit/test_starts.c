// SPDX-License-Identifier: GPL-2.0-or-later
/* How hsd waits when it has ended soon after its last starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/watch/starts.h"
#include "system/startlog.h"
#include "util/files.h"
#include "util/macro.h"

static void test_delay(void **state)
{
	(void)state;
	for (unsigned ends = 0; ends <= 10; ends++)
		assert_int_equal(starts_delay(ends), 0);
	for (unsigned ends = 11; ends < 200; ends++) {
		assert_true(starts_delay(ends) >= starts_delay(ends - 1));
		assert_in_range(starts_delay(ends), 100 * USEC_PER_MSEC, 10 * USEC_PER_SEC);
	}
	assert_int_equal(starts_delay(11), 100 * USEC_PER_MSEC);
	assert_int_equal(starts_delay(13), 400 * USEC_PER_MSEC);
	assert_int_equal(starts_delay(199), 10 * USEC_PER_SEC);
}

static char folder[] = "/tmp/hs-starts.XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) && !setenv("RUNTIME_DIRECTORY", folder, 1) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	startlog_end();
	return rmdir(folder);
}

static void test_log(void **state)
{
	struct startlog log;

	(void)state;
	for (unsigned i = 0; i <= 10; i++) {
		assert_int_equal(startlog_begin(&log), 0);
		assert_int_equal(log.ends, i);
	}
	startlog_fail("the bus says no; run: x");
	assert_int_equal(startlog_begin(&log), 100 * USEC_PER_MSEC);
	assert_int_equal(log.ends, 11);
	assert_string_equal(log.last_words.text, "the bus says no; run: x");
	/* a crash has no last words */
	assert_int_equal(startlog_begin(&log), 200 * USEC_PER_MSEC);
	assert_string_equal(log.last_words.text, "");
	/* who ends well begins anew */
	startlog_end();
	assert_int_equal(startlog_begin(&log), 0);
	assert_int_equal(log.ends, 0);
}

static void write_file(const char *text)
{
	_cleanup_(freep) char *path = format("%s/starts", folder);

	assert_int_equal(file_write(path, text, 0600), 0);
}

/* One that has worked for a while; a file of nobody's making. */
static void test_forgotten(void **state)
{
	static const char *const texts[] = {"99 1 x\n", "", "x", "-1",
					    "99 18446744073709551615 x\n"};
	struct startlog log;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		write_file(texts[i]);
		assert_true(startlog_begin(&log) <= 10 * USEC_PER_SEC);
		if (i < 4)
			assert_int_equal(log.ends, 0);
	}
}

static void test_by_hand(void **state)
{
	struct startlog log;

	(void)state;
	unsetenv("RUNTIME_DIRECTORY");
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(startlog_begin(&log), 0);
	setenv("RUNTIME_DIRECTORY", folder, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_by_hand),
	};

	return cmocka_run_group_tests_name("starts", tests, make_folder, remove_folder);
}
