// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is told that a file has changed, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <cmocka.h>

#include "service/watch/filewatch.h"
#include "util/macro.h"

#define CHANGES (IN_CREATE | IN_DELETE | IN_ONESHOT)

static struct rig {
	sd_event *event;
	struct filewatch *filewatch;
	char folders[2][32];
	struct watched first, second;
	unsigned told_first, told_second;
} rig;

static void count(void *userdata)
{
	++*(unsigned *)userdata;
}

static int set_up(void **state)
{
	(void)state;
	rig = (struct rig) {.folders = {"/tmp/hs-watch-XXXXXX", "/tmp/hs-watch-XXXXXX"}};
	for (size_t i = 0; i < 2; i++)
		assert_non_null(mkdtemp(rig.folders[i]));
	assert_true(sd_event_new(&rig.event) >= 0);
	assert_int_equal(filewatch_new(rig.event, &rig.filewatch), 0);
	watched_init(&rig.first, rig.filewatch, count, &rig.told_first);
	watched_init(&rig.second, rig.filewatch, count, &rig.told_second);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	watched_done(&rig.first);
	watched_done(&rig.second);
	filewatch_free(rig.filewatch);
	sd_event_unref(rig.event);
	for (size_t i = 0; i < 2; i++)
		rmdir(rig.folders[i]);
	return 0;
}

/* All that has come. */
static void turn(void)
{
	while (sd_event_run(rig.event, 0) > 0)
		;
}

static void change(unsigned folder)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/a", rig.folders[folder]);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	unlink(path);
}

static int *add(unsigned folder)
{
	int *watches = calloc(1, sizeof(*watches));

	assert_non_null(watches);
	watches[0] = inotify_add_watch(filewatch_fd(rig.filewatch), rig.folders[folder], CHANGES);
	assert_true(watches[0] >= 0);
	return watches;
}

static void watch(struct watched *watched, unsigned folder)
{
	watched_begin(watched);
	watched_end(watched, add(folder), 1);
}

static void test_once_for_each_look(void **state)
{
	(void)state;
	watch(&rig.first, 0);
	watch(&rig.second, 1);
	for (unsigned i = 0; i < 1000; i++)
		change(0);
	turn();
	assert_int_equal(rig.told_first, 1);
	assert_int_equal(rig.told_second, 0);
	change(0);
	turn();
	assert_int_equal(rig.told_first, 1);
	watch(&rig.first, 0);
	change(0);
	turn();
	assert_int_equal(rig.told_first, 2);
}

static void test_what_is_shared(void **state)
{
	(void)state;
	watch(&rig.first, 0);
	watch(&rig.second, 0);
	change(0);
	turn();
	assert_int_equal(rig.told_first, 1);
	assert_int_equal(rig.told_second, 1);
	watch(&rig.first, 0);
	watch(&rig.second, 0);
	/* the one's end, or another place of his, is not the other's */
	watch(&rig.first, 1);
	change(0);
	turn();
	assert_int_equal(rig.told_first, 1);
	assert_int_equal(rig.told_second, 2);
	watch(&rig.second, 1);
	watched_done(&rig.first);
	change(1);
	turn();
	assert_int_equal(rig.told_first, 1);
	assert_int_equal(rig.told_second, 3);
}

/* A worker has added the watch; that it has is told later. */
static void test_a_change_while_it_is_looked(void **state)
{
	int *watches;

	(void)state;
	watched_begin(&rig.first);
	watches = add(0);
	change(0);
	turn();
	assert_int_equal(rig.told_first, 0);
	watched_end(&rig.first, watches, 1);
	assert_int_equal(rig.told_first, 1);
	/* another's is not */
	watched_begin(&rig.first);
	watches = add(0);
	watch(&rig.second, 1);
	change(1);
	turn();
	watched_end(&rig.first, watches, 1);
	assert_int_equal(rig.told_first, 1);
	assert_int_equal(rig.told_second, 1);
}

/* One that stays; each change is two events. */
static int *add_lasting(unsigned folder)
{
	int *watches = calloc(1, sizeof(*watches));

	assert_non_null(watches);
	watches[0] = inotify_add_watch(filewatch_fd(rig.filewatch), rig.folders[folder],
				       CHANGES & ~IN_ONESHOT);
	assert_true(watches[0] >= 0);
	return watches;
}

static void test_more_changes_than_are_kept(void **state)
{
	int *watches = add_lasting(0);

	(void)state;
	watched_begin(&rig.first);
	for (unsigned i = 0; i < WATCHED_MISSED_MAX / 2; i++)
		change(0);
	turn();
	watched_end(&rig.first, add(1), 1);
	assert_int_equal(rig.told_first, 0);
	watched_begin(&rig.first);
	for (unsigned i = 0; i <= WATCHED_MISSED_MAX / 2; i++)
		change(0);
	turn();
	/* it may be one of them */
	watched_end(&rig.first, add(1), 1);
	assert_int_equal(rig.told_first, 1);
	free(watches);
}

static void test_a_change_before_the_look(void **state)
{
	int *watches = add_lasting(0);

	(void)state;
	watched_begin(&rig.first);
	change(0);
	turn();
	watched_end(&rig.first, NULL, 0);
	watched_begin(&rig.first);
	watched_end(&rig.first, watches, 1);
	assert_int_equal(rig.told_first, 0);
}

/* What is lost may have been about anybody. */
static void test_an_overflow(void **state)
{
	unsigned room = 0;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");

	(void)state;
	assert_true(file && fscanf(file, "%u", &room) == 1);
	fclose(file);
	watch(&rig.first, 1);
	free(add_lasting(0));
	for (unsigned i = 0; i <= room / 2; i++)
		change(0);
	turn();
	assert_int_equal(rig.told_first, 1);
}

static unsigned count_watches(void)
{
	unsigned n = 0;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", filewatch_fd(rig.filewatch));
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		n += !strncmp(line, "inotify wd:", strlen("inotify wd:"));
	fclose(file);
	return n;
}

static void test_no_watch_is_left(void **state)
{
	(void)state;
	watch(&rig.first, 0);
	watch(&rig.first, 1);
	assert_int_equal(count_watches(), 1);
	watch(&rig.second, 1);
	watched_done(&rig.first);
	assert_int_equal(count_watches(), 1);
	watched_done(&rig.second);
	assert_int_equal(count_watches(), 0);
}

static void test_a_look_that_failed(void **state)
{
	(void)state;
	watch(&rig.first, 0);
	watched_begin(&rig.first);
	watched_end(&rig.first, NULL, 0);
	change(0);
	turn();
	assert_int_equal(rig.told_first, 1);
}

static void test_without_inotify(void **state)
{
	struct watched alone;
	unsigned told = 0;
	int *watches = calloc(1, sizeof(*watches));

	(void)state;
	watched_init(&alone, NULL, count, &told);
	watched_begin(&alone);
	watched_end(&alone, watches, 1);
	watched_done(&alone);
	assert_int_equal(filewatch_fd(NULL), -1);
	assert_int_equal(told, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once_for_each_look, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_shared, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_change_while_it_is_looked, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_more_changes_than_are_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_change_before_the_look, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_overflow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_watch_is_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_look_that_failed, set_up, tear_down),
		cmocka_unit_test(test_without_inotify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
