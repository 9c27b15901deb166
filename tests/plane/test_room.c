// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server outside of the slots is made to share its address while it serves, and slots take over
 * from it; and what processes run that is not on the disk any more.
 */
#include "cases.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "plane/act/room.h"
#include "plane/borrow/borrow.h"
#include "plane/borrow/outdated.h"
#include "plane/kernel/cgroup.h"
#include "util/files.h"

#define PORT 8080

enum { USER_A = 4001 };

static int make_for(struct plane *plane, const struct server *plain, const struct config *config,
		    uid_t uid, struct problem *problem)
{
	struct room_helpers helpers;
	int n = room_make(plane, plain->cgroup, config, uid, &helpers, problem);

	room_helpers_done(&helpers);
	return n;
}

static int make(const struct rig *rig, const struct server *plain, const struct config *config,
		uid_t uid)
{
	return make_for(rig->plane, plain, config, uid, NULL);
}

static void a_slot_joins_a_server_that_serves(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *plain = server_start(rig, 2), *slot = server_start(rig, 0);
	struct config config;

	config_init(&config);
	assert_int_equal(server_listen(plain, &at, SERVER_NO_REUSEPORT), 0);
	server_serve(plain, true);
	/* the baseline */
	assert_int_equal(server_listen(slot, &at, 0), -EADDRINUSE);
	assert_int_equal(make(rig, plain, &config, 0), 1);
	assert_int_equal(ask_often(&at, 20).of['C'], 20);
	assert_int_equal(server_listen(slot, &at, 0), 0);
	server_serve(slot, true);
	assert_int_equal(rig_adopt(rig, slot), 1);
	/* from then on the slot gets them all, and goes on to when the other one is gone */
	assert_int_equal(ask_often(&at, 40).of['A'], 40);
	server_kill(plain);
	assert_int_equal(ask_often(&at, 20).of['A'], 20);
}

/* memcached, say, begins as root and takes another user before it listens. */
static void servers_of_one_kind_keep_their_owner(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *plain = server_start(rig, 2), *slot = server_start(rig, 0);
	struct config config;

	config_init(&config);
	server_become(plain, USER_A);
	server_become(slot, USER_A);
	server_listen(plain, &at, SERVER_NO_REUSEPORT);
	assert_int_equal(make(rig, plain, &config, ROOM_OWNER_STAYS), 1);
	assert_int_equal(server_listen(slot, &at, 0), 0);
}

/* nginx -t, say: it listens, serves nobody and goes. */
static void one_that_only_tries_gets_no_connection(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *plain = server_start(rig, 2), *slot = server_start(rig, 0);
	struct config config;

	config_init(&config);
	server_listen(plain, &at, SERVER_NO_REUSEPORT);
	server_serve(plain, true);
	assert_int_equal(make(rig, plain, &config, 0), 1);
	assert_int_equal(server_listen(slot, &at, 0), 0);
	assert_int_equal(ask_often(&at, 40).of['C'], 40);
	server_close(slot, 0);
	assert_int_equal(ask_often(&at, 20).of['C'], 20);
	/* again is no harm */
	assert_int_equal(make(rig, plain, &config, 0), 1);
	assert_int_equal(server_listen(slot, &at, 0), 0);
	server_serve(slot, true);
	assert_int_equal(ask_often(&at, 20).of['C'], 20);
	assert_int_equal(rig_adopt(rig, slot), 1);
	assert_int_equal(ask_often(&at, 20).of['A'], 20);
}

static void what_waits_on_it_moves_to_the_slot(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *plain = server_start(rig, 2), *slot = server_start(rig, 0);
	struct config config;
	int waiting[10];

	case_needs(ABILITY_WAKEUP);
	config_init(&config);
	server_listen(plain, &at, SERVER_NO_REUSEPORT);
	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
		waiting[i] = client_connect(&at);
		assert_true(waiting[i] >= 0);
	}
	assert_int_equal(make(rig, plain, &config, 0), 1);
	server_listen(slot, &at, 0);
	assert_int_equal(rig_adopt(rig, slot), 1);
	server_serve(slot, true);
	server_kill(plain);
	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
		assert_int_equal(client_ask(waiting[i]), 'A');
		client_reset(waiting[i]);
	}
}

static void only_what_is_meant_and_for_its_user(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), other = rig_any(PORT + 1);
	struct server *plain = server_start(rig, 2), *slot = server_start(rig, 0);
	struct config config;

	config_init(&config);
	assert_int_equal(config_set(&config, "Service", "Ports", "8080", NULL), 0);
	server_listen(plain, &at, SERVER_NO_REUSEPORT);
	server_listen(plain, &other, SERVER_NO_REUSEPORT);
	server_become(slot, USER_A);
	assert_int_equal(make(rig, plain, &config, USER_A), 1);
	assert_int_equal(server_listen(slot, &at, 0), 0);
	assert_int_equal(server_listen(slot, &other, 0), -EADDRINUSE);
}

/* Its plain unit listens there as well: the first service's group stays its own. */
static void what_another_service_has_is_left_alone(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), local = rig_local(PORT), free = rig_any(PORT + 1);
	struct server *slot = start_adopted(rig, 0, &at), *plain = server_start(rig, 2);
	struct problem problem = {0};
	struct config config;
	struct plane *other;

	config_init(&config);
	server_serve(slot, true);
	assert_int_equal(server_listen(plain, &at, 0), 0);
	assert_int_equal(plane_create("other", rig->accounting, &other, &problem), 0);
	assert_int_equal(make_for(other, plain, &config, 0, &problem), -EADDRINUSE);
	assert_non_null(strstr(problem.text, "0.0.0.0:8080 belongs to web"));
	assert_null(plane_find(other, &at));
	assert_int_equal(ask_often(&local, 20).of['A'], 20);
	/* elsewhere it can be joined */
	server_close(plain, 0);
	assert_int_equal(server_listen(plain, &free, SERVER_NO_REUSEPORT), 0);
	assert_int_equal(make_for(other, plain, &config, 0, &problem), 1);
	plane_destroy(other);
	plane_free(other);
}

/* ---- files ---- */

struct program {
	char folder[64], path[96], replacement[96];
	pid_t pid;
};

#define FOLDER_MAX 64

/* What lies below /tmp or /run is never said to be outdated, and the tree may lie there. In a root
 * that is read-only, the tree lies elsewhere. */
static void make_folder(char ret_folder[FOLDER_MAX])
{
	strcpy(ret_folder, "/var/lib/outdated-test-XXXXXX");
	if (mkdtemp(ret_folder))
		return;
	assert_int_equal(errno, EROFS);
	strcpy(ret_folder, "build/outdated-test-XXXXXX");
	assert_non_null(mkdtemp(ret_folder));
}

static void copy_program(const char *to)
{
	_cleanup_(freep) char *command = format("cp /bin/sleep %s", to);

	assert_int_equal(system(command), 0);
}

static void run_program(const struct rig *rig, struct program *program)
{
	char mount[PATH_MAX];
	_cleanup_(freep) char *procs = NULL;

	make_folder(program->folder);
	snprintf(program->path, sizeof(program->path), "%s/program", program->folder);
	snprintf(program->replacement, sizeof(program->replacement), "%s/new", program->folder);
	copy_program(program->path);
	assert_int_equal(cgroup_mount(mount, sizeof(mount)), 0);
	procs = format("%s%s/cgroup.procs", mount, rig->group);
	program->pid = fork();
	if (!program->pid) {
		FILE *file = fopen(procs, "we");

		if (!file || fputs("0", file) < 0 || fclose(file))
			_exit(1);
		execl(program->path, "program", "1000", NULL);
		_exit(1);
	}
}

static void end_program(struct program *program)
{
	kill(program->pid, SIGKILL);
	waitpid(program->pid, NULL, 0);
	unlink(program->path);
	unlink(program->replacement);
	rmdir(program->folder);
}

static bool ends_with(const char *text, const char *tail)
{
	size_t n = strlen(text), length = strlen(tail);

	return n >= length && !strcmp(text + n - length, tail);
}

/* The one that is the program: false until it runs. */
static bool find(const struct rig *rig, int inotify_fd, const struct program *program,
		 struct outdated_file *ret_file)
{
	_cleanup_(freep) struct outdated_file *files = NULL;
	size_t n = 0;

	if (outdated_look(rig->group, inotify_fd, &files, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (ends_with(files[i].path, program->path)) {
			*ret_file = files[i];
			return true;
		}
	return false;
}

static bool is_told(int inotify_fd, int watch)
{
	char buffer[512] __attribute__((aligned(8)));
	const struct inotify_event *event = (const void *)buffer;
	struct pollfd wait = {.fd = inotify_fd, .events = POLLIN};

	return poll(&wait, 1, (int)(RIG_DEADLINE_USEC / USEC_PER_MSEC)) == 1 &&
	       read(inotify_fd, buffer, sizeof(buffer)) > 0 && event->wd == watch;
}

static void a_replaced_program_is_seen_and_told(void **state)
{
	struct rig *rig = *state;
	_cleanup_(close_fdp) int inotify_fd = inotify_init1(IN_CLOEXEC);
	struct outdated_file file = {0};
	struct program program;
	struct outdated judged;
	struct stat st;

	run_program(rig, &program);
	rig_until(find(rig, inotify_fd, &program, &file));
	assert_false(file.gone);
	assert_true(file.watch >= 0);
	assert_int_equal(borrow_judge_outdated(rig->group, &judged), 0);
	assert_int_equal(judged.files, 0);
	copy_program(program.replacement);
	assert_int_equal(rename(program.replacement, program.path), 0);
	assert_true(is_told(inotify_fd, file.watch));
	assert_true(find(rig, -1, &program, &file));
	assert_true(file.gone && !file.removed);
	assert_int_equal(stat(program.path, &st), 0);
	assert_int_equal(file.since_usec / USEC_PER_SEC, st.st_ctim.tv_sec);
	assert_int_equal(borrow_judge_outdated(rig->group, &judged), 0);
	assert_int_equal(judged.files, 1);
	unlink(program.path);
	assert_true(find(rig, -1, &program, &file));
	assert_true(file.gone && file.removed);
	end_program(&program);
}

/* ---- an ill-meant name ---- */

/* The kernel writes each of these as four characters, so that the line is longer than any path. */
static void enter_long_folders(void)
{
	char name[251];

	memset(name, '\n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (unsigned i = 0; i < 5; i++)
		if (mkdir(name, 0700) < 0 || chdir(name) < 0)
			_exit(1);
}

/* The end of the line looks like a line of its own. */
static void map_forged_file(const char *folder)
{
	static const char *const steps[] = {"q r-xp w e r ", "opt"};
	int fd;

	if (chdir(folder) < 0)
		_exit(1);
	enter_long_folders();
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (mkdir(steps[i], 0700) < 0 || chdir(steps[i]) < 0)
			_exit(1);
	fd = open("forged", O_RDWR | O_CREAT | O_CLOEXEC, 0700);
	if (fd < 0 || ftruncate(fd, 4096) < 0 ||
	    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		_exit(1);
	if (chdir("/") < 0)
		_exit(1);
}

static pid_t run_forger(const struct rig *rig, const char *folder)
{
	char mount[PATH_MAX], byte;
	_cleanup_(freep) char *procs = NULL;
	int done[2];
	pid_t pid;

	assert_int_equal(cgroup_mount(mount, sizeof(mount)), 0);
	procs = format("%s%s/cgroup.procs", mount, rig->group);
	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		FILE *file = fopen(procs, "we");

		if (!file || fputs("0", file) < 0 || fclose(file))
			_exit(1);
		map_forged_file(folder);
		(void)!write(done[1], "", 1);
		pause();
		_exit(0);
	}
	close(done[1]);
	assert_int_equal(read(done[0], &byte, 1), 1);
	close(done[0]);
	return pid;
}

static void a_long_name_forges_no_other(void **state)
{
	struct rig *rig = *state;
	_cleanup_(freep) struct outdated_file *files = NULL;
	_cleanup_(freep) char *clear = NULL;
	char folder[FOLDER_MAX];
	size_t n = 0;
	pid_t pid;

	make_folder(folder);
	pid = run_forger(rig, folder);
	assert_int_equal(outdated_look(rig->group, -1, &files, &n), 0);
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++)
		assert_string_not_equal(files[i].path, "/opt/forged");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	clear = format("rm -r %s", folder);
	assert_int_equal(system(clear), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_slot_joins_a_server_that_serves),
		CASE(servers_of_one_kind_keep_their_owner),
		CASE(one_that_only_tries_gets_no_connection),
		CASE(what_waits_on_it_moves_to_the_slot),
		CASE(only_what_is_meant_and_for_its_user),
		CASE(what_another_service_has_is_left_alone),
		BARE_CASE(a_replaced_program_is_seen_and_told),
		BARE_CASE(a_long_name_forges_no_other),
	};

	return cases_run("room", tests);
}
