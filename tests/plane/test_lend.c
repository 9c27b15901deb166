// SPDX-License-Identifier: GPL-2.0-or-later
/* Whose processes are PID 1's still, and not their unit's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "plane/borrow/lend.h"
#include "util/macro.h"

#define FOLDER	"/usr/lib/systemd"
#define PROGRAM FOLDER "/systemd-executor"
#define NOT_IT	FOLDER "/systemd-executioner"

/* A program of that name that does nothing, in a mount namespace of its own. */
static int copy_sleep(const char *path)
{
	_cleanup_(close_fdp) int from = open("/bin/sleep", O_RDONLY | O_CLOEXEC);
	_cleanup_(close_fdp) int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	struct stat size;

	if (from < 0 || to < 0 || fstat(from, &size))
		return -1;
	return sendfile(to, from, NULL, (size_t)size.st_size) == size.st_size ? 0 : -1;
}

static void run(const char *path, bool deleted)
{
	int self;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", FOLDER, "tmpfs", 0, NULL) || copy_sleep(path))
		return;
	self = open(path, O_PATH | O_CLOEXEC);
	if (!deleted || !unlink(path))
		fexecve(self, (char *[]) {"sleep", "60", NULL}, (char *[]) {NULL});
}

static bool is_manager(const char *path, bool deleted)
{
	char failed;
	int pipe[2];
	pid_t pid;
	bool is;

	assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		run(path, deleted);
		(void)!write(pipe[1], "", 1);
		_exit(1);
	}
	close(pipe[1]);
	/* it is closed once the program runs */
	assert_int_equal(read(pipe[0], &failed, 1), 0);
	close(pipe[0]);
	is = lend_is_manager(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return is;
}

static void test_the_executor_of_systemd_is_no_instance(void **state)
{
	(void)state;
	assert_true(is_manager(PROGRAM, false));
	/* the package was upgraded, PID 1 goes on with what it has */
	assert_true(is_manager(PROGRAM, true));
	assert_false(is_manager(NOT_IT, false));
	assert_false(is_manager(NOT_IT, true));
}

static void test_others_are_not(void **state)
{
	(void)state;
	assert_false(lend_is_manager(getpid()));
	assert_false(lend_is_manager(1));
	assert_false(lend_is_manager(INT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_executor_of_systemd_is_no_instance),
		cmocka_unit_test(test_others_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
