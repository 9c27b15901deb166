// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * AF_UNIX listeners: each slot has a file of its own, and a link leads to that of the active slot.
 *
 *   1. servers of two slots listen in the folders of their slots, and are adopted by what the
 *      kernel says about the file, whatever the instance has put there
 *   2. the link follows the word, whoever changes it, and is mended by who finds it behind
 *   3. a slot that is retired is left, and what waits there is seen until it was accepted
 */
#include "cases.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "hsctl/json.h"
#include "hsctl/path/folderflag.h"
#include "hsctl/path/pathdetect.h"
#include "plane/path/activelink.h"
#include "plane/path/unixask.h"
#include "plane/pathlink.h"
#include "service/change/change.h"
#include "service/report/report.h"
#include "util/files.h"

#define PUBLIC	"/run/app/app.sock"
#define BACKLOG 16

static const char configured[1][HS_PATH_MAX] = {PUBLIC};

/* /run is ours alone; the public path is the link that the hooks make. */
static int begin(void **state)
{
	int r = case_begin(state);
	char target[PATH_FILE_MAX];

	if (r)
		return r;
	rig_check(mount("run", "/run", "tmpfs", 0, "mode=0755") == 0);
	path_of_active("web", PUBLIC, target);
	rig_check(make_folders("/run/app", 0755) == 0);
	rig_check(make_folders("/run/hotstandby/web/0/run-app", 0755) == 0);
	rig_check(make_folders("/run/hotstandby/web/1/run-app", 0755) == 0);
	rig_check(symlink(target, PUBLIC) == 0);
	return 0;
}

static int listen_at(const char *file)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", file);
	unlink(file);
	rig_check(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	rig_check(listen(fd, BACKLOG) == 0);
	return fd;
}

static struct server *start_at(struct rig *rig, unsigned slot, const char *file)
{
	int fd = listen_at(file);
	struct server *server = server_start_holding(rig, slot, fd);

	close(fd);
	return server;
}

static struct server *start(struct rig *rig, unsigned slot)
{
	char file[PATH_FILE_MAX];

	path_of_slot("web", slot, PUBLIC, file);
	return start_at(rig, slot, file);
}

static struct adoption *try_adopt(struct rig *rig, const struct server *server)
{
	struct adopt_scope scope = {
		.cgroup = server->cgroup,
		.slot = server->slot,
		.paths = configured,
		.n_paths = 1,
	};
	struct adoption *adoption;
	struct problem problem = {0};

	assert_int_equal(adoption_begin(rig->plane, &scope, &adoption, &problem), 0);
	assert_int_equal(adoption_commit(rig->plane, server->slot, adoption), 0);
	return adoption;
}

static unsigned adopt(struct rig *rig, const struct server *server)
{
	struct adoption *adoption = try_adopt(rig, server);
	unsigned fresh = adoption->fresh;

	assert_string_equal(adoption->path_problem.text, "");
	assert_int_equal(adoption->adopted, 1);
	adoption_free(adoption);
	return fresh;
}

static struct pair start_both(struct rig *rig)
{
	struct pair pair = {start(rig, 0), start(rig, 1)};

	assert_int_equal(adopt(rig, pair.a), 1);
	assert_int_equal(adopt(rig, pair.b), 1);
	return pair;
}

/* By the public path. -1 = refused. */
static int connect_public(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = PUBLIC};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	rig_check(fd >= 0);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return close_fd(fd);
	return fd;
}

/* Who serves the public path. */
static char answering(void)
{
	_cleanup_(close_fdp) int fd = connect_public();
	char answer = '?';

	assert_true(fd >= 0);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(fd, &answer, 1, 0), 1);
	return answer;
}

static unsigned link_slot(void)
{
	unsigned slot = HS_SLOT_NONE;

	assert_int_equal(activelink_read("web", &slot), 0);
	return slot;
}

static void the_first_that_comes_is_active_and_a_flip_is_one_link(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_both(rig);

	server_serve(pair.a, true);
	server_serve(pair.b, true);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 1);
	assert_int_equal(plane_slot_sockets(rig->plane, 1), 1);
	assert_int_equal(plane_live_slots(rig->plane), 3);
	assert_int_equal(answering(), 'A');
	for (unsigned i = 0; i < 10; i++) {
		rig_flip(rig, 1 - i % 2);
		assert_int_equal(link_slot(), 1 - i % 2);
		assert_int_equal(answering(), i % 2 ? 'A' : 'B');
	}
	/* the same again is nothing new */
	assert_int_equal(adopt(rig, pair.a), 0);
}

/* A manager that comes later sees the same. */
/* Two slots that start at once are adopted by two processes, and each of them may make the table.
 */
static void a_table_that_is_there_stays(void **state)
{
	struct rig *rig = *state;

	start_both(rig);
	assert_int_equal(paths_create(pin_service_path("web").text), -EEXIST);
	plane_refresh(rig->plane);
	assert_int_equal(plane_live_slots(rig->plane), 3);
}

static void another_manager_knows_them(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_both(rig);
	struct plane *other;
	const char *live[HS_PATHS_MAX];

	assert_int_equal(plane_open("web", rig->accounting, &other, NULL), 0);
	assert_int_equal(plane_live_slots(other), 3);
	assert_int_equal(paths_live(plane_paths(other), live), 1);
	assert_string_equal(live[0], PUBLIC);
	server_kill(pair.b);
	assert_int_equal(plane_live_slots(other), 1);
	assert_true(plane_is_missing(other, 1, 0));
	assert_false(plane_is_missing(other, 0, 1));
	plane_free(other);
}

static void a_link_that_was_left_behind_is_mended(void **state)
{
	struct rig *rig = *state;
	struct problem problem = {0};

	start_both(rig);
	assert_true(pathlink_is_right(rig->plane));
	pathlink_describe(rig->plane, &problem);
	assert_string_equal(problem.text, "");
	/* as if its manager had been killed before it had flipped it */
	assert_int_equal(unlink("/run/hotstandby/web/active"), 0);
	assert_int_equal(symlink("1", "/run/hotstandby/web/active"), 0);
	assert_false(pathlink_is_right(rig->plane));
	pathlink_describe(rig->plane, &problem);
	assert_non_null(strstr(problem.text, "lead to slot 1, not to the active slot 0"));
	assert_int_equal(plane_lead_paths(rig->plane), 0);
	assert_int_equal(link_slot(), 0);
	assert_int_equal(unlink("/run/hotstandby/web/active"), 0);
	assert_int_equal(plane_lead_paths(rig->plane), 0);
	assert_int_equal(link_slot(), 0);
	assert_true(pathlink_is_right(rig->plane));
}

/* The word says that nothing has moved when the link could not be. */
static void a_flip_without_its_link_is_none(void **state)
{
	struct rig *rig = *state;
	struct service_change change;
	static const struct switchover_plan plan = {.from = 0, .to = 1};

	start_both(rig);
	change_init(&change, rig->plane, &plan);
	change_begin(&change, now_usec());
	assert_int_equal(mount("/run", "/run", NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	change_flip(&change, now_usec());
	assert_int_equal(mount("/run", "/run", NULL, MS_REMOUNT, NULL), 0);
	assert_int_equal(change.machine.state, SWITCHOVER_FAILED);
	assert_non_null(strstr(change.machine.failure, "link"));
	assert_int_equal(hs_word_active(plane_word(rig->plane)), 0);
	assert_int_equal(link_slot(), 0);
}

#define FLIPPERS 4
#define ROUNDS	 400
#define FLIPS	 5

static pthread_barrier_t round_begins, round_ends;

/* Each by a view of its own, as another process has it. */
static void *flip_often(void *userdata)
{
	struct plane *plane = userdata;

	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&round_begins);
		for (unsigned k = 0; k < FLIPS; k++)
			plane_edit_word(plane, word_activate,
					WORD_ARGS(.to = 1 - hs_word_active(plane_word(plane))),
					NULL);
		pthread_barrier_wait(&round_ends);
	}
	return NULL;
}

static void whoever_flips_at_the_same_time_the_link_ends_where_the_word_does(void **state)
{
	struct rig *rig = *state;
	struct plane *planes[FLIPPERS];
	pthread_t threads[FLIPPERS];
	unsigned wrong = 0;

	start_both(rig);
	pthread_barrier_init(&round_begins, NULL, FLIPPERS + 1);
	pthread_barrier_init(&round_ends, NULL, FLIPPERS + 1);
	for (unsigned i = 0; i < FLIPPERS; i++) {
		assert_int_equal(plane_open("web", NULL, &planes[i], NULL), 0);
		assert_int_equal(pthread_create(&threads[i], NULL, flip_often, planes[i]), 0);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&round_begins);
		pthread_barrier_wait(&round_ends);
		wrong += link_slot() != hs_word_active(plane_word(rig->plane));
	}
	for (unsigned i = 0; i < FLIPPERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		plane_free(planes[i]);
	}
	assert_int_equal(wrong, 0);
}

/* ---- retirement ---- */

static struct retire_left left_of(struct rig *rig, const struct server *server)
{
	struct retire_left left = {0};

	assert_int_equal(retire_look(rig->plane, server->slot, server->cgroup, &left), 0);
	return left;
}

static void what_waits_at_a_path_is_waited_for(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_both(rig);
	int fds[3];
	unsigned to;

	server_serve(pair.a, false);
	server_serve(pair.b, true);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = connect_public();
	assert_int_equal(rig_queued(rig, 0), 3);
	assert_int_equal(retire_leave(rig->plane, 0, 3, &to), RETIRE_DONE);
	assert_int_equal(to, 1);
	assert_int_equal(answering(), 'B');
	/* it has no socket any more for those who come, and what waits there is known */
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 0);
	assert_int_equal(left_of(rig, pair.a).waiting, 3);
	assert_false(retire_is_over(&(struct retire_left) {.waiting = 1}, RIG_DEADLINE_USEC));
	assert_int_equal(server_accept(pair.a, NULL), 3);
	assert_int_equal(left_of(rig, pair.a).waiting, 0);
	/* those are waited for as well, but not for long */
	assert_int_equal(left_of(rig, pair.a).open, 3);
	assert_int_equal(rig_slot(rig, 0).connections, 3);
	assert_false(retire_is_over(&(struct retire_left) {.open = 1}, 0));
	assert_true(retire_is_over(&(struct retire_left) {.open = 1}, RIG_DEADLINE_USEC));
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	server_hang_up(pair.a, false);
	rig_until(!left_of(rig, pair.a).open);
	/* adopted again, it is a standby as before */
	assert_int_equal(adopt(rig, pair.a), 1);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 1);
}

#define MANY 1100

static int connect_to(const char *file)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", file);
	rig_check(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	return fd;
}

static struct line line_at(int listener, uint32_t expected)
{
	struct unix_waiting waiting = {0};
	uint64_t cookie;
	socklen_t size = sizeof(cookie);
	struct stat st;

	rig_check(fstat(listener, &st) == 0);
	rig_check(getsockopt(listener, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0);
	assert_int_equal(unixdiag_waiting((uint32_t)st.st_ino, cookie, &waiting), 0);
	assert_int_equal(waiting.queued, expected);
	assert_int_equal(waiting.line.n, expected);
	return waiting.line;
}

/* What has happened since it was asked last. */
static enum line_news news_at(int listener, struct line *line, uint32_t expected)
{
	struct line now = line_at(listener, expected);
	enum line_news news = line_compare(line, &now);

	line_done(line);
	*line = now;
	return news;
}

/* Whoever comes, and whoever gives up, the first one, too: that is no accept, and an accept is
 * seen.
 */
static void who_waits_is_told_in_order(void **state)
{
	const char *file = "/run/app/one.sock";
	int listener = listen_at(file), fds[4];
	struct line line = line_at(listener, 0);

	(void)state;
	assert_false(line.full);
	for (unsigned i = 0; i < ARRAY_SIZE(fds) - 1; i++)
		fds[i] = connect_to(file);
	news_at(listener, &line, 3);
	fds[3] = connect_to(file);
	assert_int_equal(news_at(listener, &line, 4), LINE_STAYS);
	close(fds[3]);
	assert_int_equal(news_at(listener, &line, 4), LINE_STAYS);
	close(fds[0]);
	assert_int_equal(news_at(listener, &line, 4), LINE_STAYS);
	/* who has gone is accepted, and that is seen, also where another comes */
	close(accept(listener, NULL, NULL));
	fds[0] = connect_to(file);
	assert_int_equal(news_at(listener, &line, 4), LINE_MOVES);
	close(fds[1]);
	close(fds[2]);
	assert_int_equal(news_at(listener, &line, 4), LINE_STAYS);
	close(fds[0]);
	/* only those wait who have gone */
	assert_int_equal(news_at(listener, &line, 4), LINE_SEEMS);
	close(accept(listener, NULL, NULL));
	assert_int_equal(news_at(listener, &line, 3), LINE_MOVES);
	line_done(&line);
	close(listener);
}

static void a_queue_that_takes_no_more_is_full(void **state)
{
	const char *file = "/run/app/full.sock";
	int listener = listen_at(file), fds[BACKLOG + 1];
	struct line line;

	(void)state;
	for (unsigned i = 0; i < BACKLOG; i++)
		fds[i] = connect_to(file);
	line = line_at(listener, BACKLOG);
	assert_false(line.full);
	fds[BACKLOG] = connect_to(file);
	assert_int_equal(news_at(listener, &line, BACKLOG + 1), LINE_STAYS);
	assert_true(line.full);
	for (unsigned i = 0; i <= BACKLOG; i++)
		close(fds[i]);
	line_done(&line);
	close(listener);
}

/* The kernel does not answer for one socket then. */
static void more_may_wait_than_a_page_names(void **state)
{
	struct rlimit limit = {MANY + 100, MANY + 100};
	const char *file = "/run/app/many.sock";
	int listener = listen_at(file), *fds = calloc(MANY, sizeof(*fds));
	struct line line;

	(void)state;
	rig_check(fds && setrlimit(RLIMIT_NOFILE, &limit) == 0);
	rig_check(listen(listener, MANY) == 0);
	fds[0] = connect_to(file);
	line = line_at(listener, 1);
	for (unsigned i = 1; i < MANY; i++)
		fds[i] = connect_to(file);
	assert_int_equal(news_at(listener, &line, MANY), LINE_STAYS);
	for (unsigned i = 0; i < MANY; i++)
		close(fds[i]);
	line_done(&line);
	free(fds);
	close(listener);
}

/* As systemd has it done when hsd is away. */
static void who_has_ended_is_left(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_both(rig);
	unsigned to = HS_SLOT_NONE;

	server_serve(pair.b, true);
	/* it has not ended */
	assert_false(retire_gone(rig->plane, 0, &to));
	server_kill(pair.a);
	/* nor was it retired */
	assert_true(retire_gone(rig->plane, 0, &to));
	assert_int_equal(to, 1);
	assert_int_equal(answering(), 'B');
	assert_false(plane_is_retired(rig->plane, 0));
	assert_false(retire_gone(rig->plane, 0, &to));
	/* nobody is left to lead to */
	server_kill(pair.b);
	assert_false(retire_gone(rig->plane, 1, &to));
	assert_int_equal(link_slot(), 1);
}

static void the_last_slot_stays(void **state)
{
	struct rig *rig = *state;
	struct server *a = start(rig, 0);
	unsigned to;

	adopt(rig, a);
	server_serve(a, true);
	assert_int_equal(retire_leave(rig->plane, 0, 1, &to), RETIRE_LAST);
	assert_int_equal(retire_park(rig->plane, 0), RETIRE_LAST);
	assert_int_equal(answering(), 'A');
}

static void there_is_no_canary_and_no_other_policy(void **state)
{
	struct rig *rig = *state;
	static const enum slot_state states[] = {SLOT_READY, SLOT_READY};
	struct canary_request request = {.states = states, .n = 2, .to = 1, .share = 1000};
	uint64_t word;
	struct problem message;

	start_both(rig);
	word = plane_word(rig->plane);
	assert_int_not_equal(change_set_canary(rig->plane, &request, &message), GATE_OPEN);
	assert_non_null(strstr(message.text, PUBLIC " is a link"));
	assert_false(change_set_policy(rig->plane, HS_POLICY_HASH, NULL, &message));
	assert_true(plane_word(rig->plane) == word);
	/* to end one is nothing new */
	request.share = 0;
	assert_int_equal(change_set_canary(rig->plane, &request, &message), GATE_OPEN);
}

/* ---- what an instance can do ---- */

static void expect_unadopted(struct rig *rig, const struct server *server, const char *why)
{
	struct adoption *adoption = try_adopt(rig, server);

	assert_int_equal(adoption->adopted, 0);
	if (why)
		assert_non_null(strstr(adoption->path_problem.text, why));
	else
		assert_string_equal(adoption->path_problem.text, "");
	adoption_free(adoption);
	assert_int_equal(plane_slot_sockets(rig->plane, server->slot), 0);
}

/* Started before its folder was there: its name is the public one, its file is not the slot's. */
static void at_the_public_path_itself_it_is_not_adopted(void **state)
{
	struct rig *rig = *state;
	struct server *a;

	a = start_at(rig, 0, PUBLIC);
	expect_unadopted(rig, a, "restart it: systemctl restart web@0");
}

static void a_link_in_its_folder_leads_us_nowhere(void **state)
{
	struct rig *rig = *state;
	char file[PATH_FILE_MAX], other[PATH_FILE_MAX];
	struct server *a, *b = start(rig, 1);

	adopt(rig, b);
	/* at slot 1's socket, and at one of its own elsewhere */
	path_of_slot("web", 0, PUBLIC, file);
	path_of_slot("web", 1, PUBLIC, other);
	assert_int_equal(symlink(other, file), 0);
	a = start_at(rig, 0, "/run/elsewhere");
	expect_unadopted(rig, a, NULL);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(symlink("/run/elsewhere", file), 0);
	expect_unadopted(rig, a, NULL);
	/* the folder itself is in a folder of root's, so it is put there by hand here */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir("/run/hotstandby/web/0/run-app"), 0);
	assert_int_equal(symlink("../1/run-app", "/run/hotstandby/web/0/run-app"), 0);
	expect_unadopted(rig, a, NULL);
	assert_int_equal(link_slot(), 1);
}

/* Another's socket in its folder is no listener of its own. */
static void what_its_processes_do_not_hold_is_not_its_own(void **state)
{
	struct rig *rig = *state;
	char file[PATH_FILE_MAX];
	int stranger;
	struct server *a = server_start(rig, 0);

	path_of_slot("web", 0, PUBLIC, file);
	stranger = listen_at(file);
	expect_unadopted(rig, a, NULL);
	close(stranger);
	/* and a file is no socket */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(file, 0755), 0);
	expect_unadopted(rig, a, NULL);
}

static void two_at_one_path_that_nobody_has_named_are_told(void **state)
{
	struct rig *rig = *state;
	struct server *a = start_at(rig, 0, "/run/app/other.sock");
	struct server *b = start_at(rig, 1, "/run/app/other.sock");

	expect_unadopted(rig, a, "hsctl enable web@.service --path=/run/app/other.sock");
	expect_unadopted(rig, b, "/run/app/other.sock, and so does another");
}

/* ---- somebody who has very many sockets ---- */

#define CROWD	    4
#define CROWD_PAIRS 9000

static void crowd_in(int told)
{
	struct rlimit limit;
	int pair[2], n = 0;

	/* also when the test has failed */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	while (n < CROWD_PAIRS && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		n++;
	(void)!write(told, "", 1);
	pause();
	_exit(0);
}

static void start_crowd(pid_t crowd[], unsigned n)
{
	int told[2];
	char byte;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	for (unsigned i = 0; i < n; i++) {
		crowd[i] = fork();
		if (!crowd[i])
			crowd_in(told[1]);
	}
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(read(told[0], &byte, 1), 1);
	close(told[0]);
	close(told[1]);
}

static void end_crowd(const pid_t crowd[], unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		kill(crowd[i], SIGKILL);
		waitpid(crowd[i], NULL, 0);
	}
}

static uint64_t cost_of_all(void)
{
	struct unix_file none = {1, 1};
	uint64_t counts[1], begun = cpu_usec();

	assert_int_equal(unixdiag_connections(&none, 1, RIG_DEADLINE_USEC, counts), 0);
	return cpu_usec() - begun;
}

static void who_has_very_many_sockets_costs_others_little(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_both(rig);
	uint64_t once, begun;
	pid_t crowd[CROWD];
	int fd;

	server_serve(pair.a, false);
	fd = connect_public();
	assert_int_equal(server_accept(pair.a, NULL), 1);
	assert_int_equal(rig_slot(rig, 0).connections, 1);
	assert_int_equal(rig_slot(rig, 1).connections, 0);
	start_crowd(crowd, CROWD);
	once = cost_of_all();
	begun = cpu_usec();
	for (unsigned i = 0; i < 100; i++)
		rig_slot(rig, 0);
	assert_in_range(cpu_usec() - begun, 0, 10 * once);
	/* what could not be counted is not known to be none */
	assert_true(rig_slot(rig, 0).connections >= 1);
	end_crowd(crowd, CROWD);
	close(fd);
	server_hang_up(pair.a, false);
	rig_until(!rig_slot(rig, 0).connections && !rig_slot(rig, 1).connections);
}

/* A count is for all services: who asks just after another does hear of none where there are none.
 */
static void what_was_counted_for_another_is_known(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_both(rig);
	struct plane_totals totals;
	struct problem problem;
	struct plane *other;
	pid_t crowd[1];
	int fd;

	server_serve(pair.a, false);
	fd = connect_public();
	assert_int_equal(server_accept(pair.a, NULL), 1);
	server_kill(pair.b);
	assert_int_equal(plane_open("web", rig->accounting, &other, &problem), 0);
	start_crowd(crowd, ARRAY_SIZE(crowd));
	assert_int_equal(rig_slot(rig, 0).connections, 1);
	/* while the count lasts, which is the longer the more it has taken */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(plane_totals(other, &totals), 0);
		assert_int_equal(totals.slots[0].connections, 1);
		assert_int_equal(totals.slots[1].connections, 0);
	}
	/* nor is one that has ended taken to have any, when it was seen to have none */
	rig_until(!rig_slot(rig, 1).connections);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(rig_slot(rig, 1).connections, 0);
	plane_free(other);
	end_crowd(crowd, ARRAY_SIZE(crowd));
	close(fd);
}

#define PATH_CASE(name) cmocka_unit_test_setup_teardown(name, begin, case_end)

/* ---- what enable finds ---- */

static bool find_listener(const char *name, struct unix_listener *ret_listener)
{
	_cleanup_(freep) struct unix_listener *all = NULL;
	size_t n = 0;

	assert_int_equal(unixdiag_listening(&all, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i].name, name)) {
			*ret_listener = all[i];
			return true;
		}
	return false;
}

#define OTHER "/run/app/other.sock"

/* Listens at a path in a mount namespace of its own. */
static pid_t start_liar(void)
{
	int told[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		rig_check(unshare(CLONE_NEWNS) == 0);
		rig_check(mount("run", "/run/app", "tmpfs", 0, NULL) == 0);
		listen_at(OTHER);
		rig_check(write(told[1], "", 1) == 1);
		pause();
		_exit(0);
	}
	close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	close(told[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void a_name_counts_where_it_leads_to_its_socket(void **state)
{
	_cleanup_(close_fdp) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct unix_listener listener;
	int fd = listen_at("/run/app/mine.sock");
	pid_t liar;

	(void)state;
	assert_true(find_listener("/run/app/mine.sock", &listener));
	assert_true(pathdetect_leads_to(root, "/run/app/mine.sock", &listener));
	assert_int_equal(symlink("/run/app/mine.sock", "/run/app/link"), 0);
	assert_true(pathdetect_leads_to(root, "/run/app/link", &listener));
	liar = start_liar();
	assert_true(find_listener(OTHER, &listener));
	assert_false(pathdetect_leads_to(root, OTHER, &listener));
	assert_int_equal(symlink("/run/app", OTHER), 0);
	assert_false(pathdetect_leads_to(root, OTHER, &listener));
	assert_int_equal(unlink(OTHER) + symlink("/run/app/mine.sock", OTHER), 0);
	assert_false(pathdetect_leads_to(root, OTHER, &listener));
	end(liar);
	close(fd);
}

static bool is_listened_at(const char *file)
{
	_cleanup_(close_fdp) int fd = open(file, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	assert_true(fd >= 0);
	return unixdiag_is_listened_at(fd);
}

/* As in containers: the kernel tells another device of a file there than of what is bound to it. */
static void who_listens_on_overlayfs_is_known_to(void **state)
{
	const char *file = "/run/merged/app.sock";
	struct unix_listener listener;
	struct stat st;
	int fd, other;

	(void)state;
	rig_check(make_folders("/run/lower", 0755) == 0 && make_folders("/run/upper", 0755) == 0);
	rig_check(make_folders("/run/work", 0755) == 0 && make_folders("/run/merged", 0755) == 0);
	/* of two file systems, as a container's is */
	rig_check(mount("lower", "/run/lower", "tmpfs", 0, NULL) == 0);
	if (mount("run", "/run/merged", "overlay", 0,
		  "lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work,xino=off") < 0) {
		print_message("# needs overlayfs: %s\n", strerror(errno));
		skip();
	}
	other = listen_at("/run/app/mine.sock");
	fd = listen_at(file);
	assert_true(find_listener(file, &listener));
	assert_int_equal(stat(file, &st), 0);
	assert_int_not_equal(unixdiag_device(st.st_dev), listener.file.device);
	assert_true(is_listened_at(file));
	close(fd);
	assert_false(is_listened_at(file));
	assert_true(is_listened_at("/run/app/mine.sock"));
	close(other);
	assert_false(is_listened_at("/run/app/mine.sock"));
	rig_check(umount2("/run/merged", MNT_DETACH) == 0);
	rig_check(umount2("/run/lower", MNT_DETACH) == 0);
}

/* ---- folders that are held ---- */

static int open_app(void)
{
	int fd = open("/run/app", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* `holds`: nothing can be removed; else it is merely its turn. */
static pid_t start_holder(bool holds)
{
	struct folderlock lock;
	int told[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		rig_check(folderflag_take(open_app(), &lock) == 0);
		rig_check(!holds || folderflag_set(&lock) == 0);
		rig_check(write(told[1], "", 1) == 1);
		pause();
		_exit(0);
	}
	close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	close(told[0]);
	return pid;
}

static void a_killed_holder_leaves_nothing_for_long(void **state)
{
	_cleanup_(close_fdp) int folder = open_app();
	pid_t holder = start_holder(true);
	struct folderlock lock;

	(void)state;
	/* as long as it lives */
	assert_true(folderflag_settle(folder));
	assert_false(folderflag_is_left(folder));
	assert_int_equal(folderflag_take(folder, &lock), -EALREADY);
	assert_int_equal(unlink(PUBLIC), -1);
	end(holder);
	assert_true(folderflag_is_left(folder));
	assert_int_equal(unlink(PUBLIC), -1);
	assert_false(folderflag_settle(folder));
	assert_int_equal(unlink(PUBLIC), 0);
	assert_int_equal(access("/run/app/" FOLDERFLAG_MARK, F_OK), -1);
	/* or the next holder has it */
	end(start_holder(true));
	assert_int_equal(folderflag_take(folder, &lock), 0);
	folderflag_release(&lock);
	assert_false(folderflag_settle(folder));
}

static void one_at_a_time_changes_a_folder(void **state)
{
	_cleanup_(close_fdp) int folder = open_app();
	pid_t other = start_holder(false);
	struct folderlock lock;

	(void)state;
	assert_int_equal(folderflag_take(folder, &lock), -EBUSY);
	assert_false(folderflag_settle(folder));
	end(other);
	assert_int_equal(folderflag_take(folder, &lock), 0);
	folderflag_release(&lock);
	assert_int_equal(access("/run/app/" FOLDERFLAG_MARK, F_OK), -1);
}

static void put_mark(uid_t owner)
{
	int fd = open("/run/app/" FOLDERFLAG_MARK, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && !fchown(fd, owner, owner));
	close(fd);
}

static void the_flag_of_others_stays(void **state)
{
	_cleanup_(close_fdp) int folder = open_app();
	int flags = FS_APPEND_FL, none = 0;
	struct folderlock lock;

	(void)state;
	assert_int_equal(ioctl(folder, FS_IOC_SETFLAGS, &flags), 0);
	assert_int_equal(folderflag_take(folder, &lock), -EALREADY);
	assert_true(folderflag_settle(folder));
	assert_false(folderflag_is_left(folder));
	/* also where the folder's owner says that it was ours */
	put_mark(5);
	assert_true(folderflag_settle(folder));
	assert_int_equal(ioctl(folder, FS_IOC_SETFLAGS, &none), 0);
	assert_int_equal(folderflag_take(folder, &lock), 0);
	folderflag_release(&lock);
	assert_int_equal(access("/run/app/" FOLDERFLAG_MARK, F_OK), -1);
}

/* ---- a kernel that is kept waiting ---- */

static int ask_at(struct unix_listener *listener)
{
	struct unix_listener now;

	return unixdiag_get(listener->inode, listener->cookie, &now);
}

/* Nor is the queue known to be empty. */
static void nobody_is_known_to_be_gone(struct rig *rig, const char *cgroup)
{
	_cleanup_(json_object_putp) json_object *json = NULL;
	struct service_report *report = calloc(1, sizeof(*report));
	uint32_t queued[HS_PLACES_MAX];
	struct retire_left left;

	assert_int_equal(paths_queued(plane_paths(rig->plane), 0, queued), -ETIME);
	assert_int_equal(plane_queued(rig->plane, queued), -ETIME);
	assert_true(queued[0] == QUEUED_UNKNOWN && queued[1] == QUEUED_UNKNOWN);
	assert_int_equal(queued[HS_SLOT_PARK], 0);
	assert_int_equal(retire_look(rig->plane, 0, cgroup, &left), 0);
	assert_false(retire_is_over(&left, 10 * USEC_PER_SEC));
	assert_non_null(report);
	report->n_slots = 2;
	report_read_plane(report, rig->plane);
	json = report_to_json(report);
	free(report);
	assert_non_null(strstr(json_object_to_json_string(json), "\"queued\": null"));
	assert_null(strstr(json_object_to_json_string(json), "\"queued\": 0"));
}

/* Who was forked may wait. */
static void another_process_asks_itself(struct unix_listener *listener)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(ask_at(listener) ? 1 : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void who_keeps_the_kernel_waiting_does_not_keep_us(void **state)
{
	struct rig *rig = *state;
	struct pair pair = start_both(rig);
	pid_t asker = unixask_begin();
	struct unix_listener listener;
	char file[PATH_FILE_MAX];
	siginfo_t ended;
	uint64_t begun;

	path_of_slot("web", 0, PUBLIC, file);
	assert_true(asker > 0);
	assert_true(find_listener(file, &listener));
	assert_int_equal(kill(asker, SIGSTOP), 0);
	begun = now_usec();
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(ask_at(&listener), -ETIME);
		/* what cannot be asked is not known to be down */
		assert_int_equal(plane_live_slots(rig->plane), 3);
	}
	assert_in_range(now_usec() - begun, 0, 2 * USEC_PER_SEC);
	nobody_is_known_to_be_gone(rig, pair.a->cgroup);
	another_process_asks_itself(&listener);
	assert_int_equal(kill(asker, SIGCONT), 0);
	rig_until(!ask_at(&listener));
	server_kill(pair.b);
	rig_until(plane_live_slots(rig->plane) == 1);
	/* another one takes its place, and it is reaped */
	kill(asker, SIGKILL);
	assert_int_equal(waitid(P_PID, asker, &ended, WEXITED | WNOWAIT), 0);
	rig_until(!ask_at(&listener));
	assert_int_equal(waitpid(asker, NULL, WNOHANG), -1);
}

/* Else nobody would see that what hsd has closed is closed. */
static void who_asks_holds_nothing_of_ours(void **state)
{
	int ends[2];
	char byte;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(unixask_begin() > 0);
	close(ends[1]);
	rig_until(read(ends[0], &byte, 1) == 0);
	close(ends[0]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		/* before another one takes descriptors from us for good */
		PATH_CASE(who_has_very_many_sockets_costs_others_little),
		PATH_CASE(what_was_counted_for_another_is_known),
		PATH_CASE(the_first_that_comes_is_active_and_a_flip_is_one_link),
		PATH_CASE(a_table_that_is_there_stays),
		PATH_CASE(another_manager_knows_them),
		PATH_CASE(a_link_that_was_left_behind_is_mended),
		PATH_CASE(a_flip_without_its_link_is_none),
		PATH_CASE(whoever_flips_at_the_same_time_the_link_ends_where_the_word_does),
		PATH_CASE(what_waits_at_a_path_is_waited_for),
		PATH_CASE(who_waits_is_told_in_order),
		PATH_CASE(a_queue_that_takes_no_more_is_full),
		PATH_CASE(a_name_counts_where_it_leads_to_its_socket),
		PATH_CASE(who_listens_on_overlayfs_is_known_to),
		PATH_CASE(who_keeps_the_kernel_waiting_does_not_keep_us),
		PATH_CASE(who_asks_holds_nothing_of_ours),
		PATH_CASE(a_killed_holder_leaves_nothing_for_long),
		PATH_CASE(one_at_a_time_changes_a_folder),
		PATH_CASE(the_flag_of_others_stays),
		PATH_CASE(more_may_wait_than_a_page_names),
		PATH_CASE(who_has_ended_is_left),
		PATH_CASE(the_last_slot_stays),
		PATH_CASE(there_is_no_canary_and_no_other_policy),
		PATH_CASE(at_the_public_path_itself_it_is_not_adopted),
		PATH_CASE(a_link_in_its_folder_leads_us_nowhere),
		PATH_CASE(what_its_processes_do_not_hold_is_not_its_own),
		PATH_CASE(two_at_one_path_that_nobody_has_named_are_told),
	};

	return cases_run("paths", tests);
}
