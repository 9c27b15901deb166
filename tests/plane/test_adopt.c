// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Adoption: which sockets of an instance are found, which are taken, and what is said about the
 * others; then leaving, and what rollback goes by.
 */
#include "cases.h"

#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define PORT 8080

static void assert_verdict(struct rig *rig, struct server *server, enum adopt_verdict verdict,
			   const char *says)
{
	struct adoption *adoption = rig_try_adopt(rig, server);
	struct problem sentence;

	assert_int_equal(adoption->n, 1);
	assert_int_equal(adoption->sockets[0].verdict, verdict);
	assert_int_equal(adoption->adopted, verdict == ADOPT_OK);
	adopt_describe(&adoption->sockets[0], &sentence);
	assert_non_null(strstr(sentence.text, says));
	adoption_free(adoption);
}

static void a_socket_without_reuseport_is_refused(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);

	assert_int_equal(server_listen(a, &at, SERVER_NO_REUSEPORT), 0);
	assert_verdict(rig, a, ADOPT_NO_REUSEPORT, "ReusePort=yes");
	assert_int_equal(plane_live_slots(rig->plane), 0);
	/* and serves all the same */
	server_serve(a, true);
	assert_int_equal(ask(&at), 'A');
	assert_int_equal(hs_word_active(plane_word(rig->plane)), HS_SLOT_NONE);
}

static void a_socket_that_sets_reuseport_too_late_is_refused(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);

	assert_int_equal(server_listen(a, &at, SERVER_LATE_REUSEPORT), 0);
	assert_verdict(rig, a, ADOPT_NO_REUSEPORT, "ReusePort=yes");
}

static void an_mptcp_listener_is_refused(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	int r = server_listen(a, &at, SERVER_MPTCP);

	if (r < 0) {
		print_message("# needs a kernel with MPTCP: %s\n", strerror(-r));
		skip();
	}
	assert_verdict(rig, a, ADOPT_MPTCP, "MPTCP");
	server_serve(a, true);
	assert_int_equal(ask(&at), 'A');
}

static void ports_limit_what_is_adopted(void **state)
{
	struct rig *rig = *state;
	struct address in = rig_any(PORT), out = rig_any(PORT + 1);
	struct server *a = server_start(rig, 0);
	struct adopt_scope scope = {.cgroup = a->cgroup,
				    .ports = &(struct config_port) {PORT, true, true},
				    .n_ports = 1};
	struct adoption *adoption;
	struct problem problem;

	server_listen(a, &out, 0);
	server_listen(a, &in, 0);
	assert_int_equal(adoption_begin(rig->plane, &scope, &adoption, &problem), 0);
	assert_int_equal(adoption_commit(rig->plane, 0, adoption), 0);
	assert_int_equal(adoption->n, 2);
	assert_int_equal(adoption->adopted, 1);
	assert_int_equal(adoption->refused, 0);
	/* sorted by port */
	assert_int_equal(adoption->sockets[0].verdict, ADOPT_OK);
	assert_int_equal(adoption->sockets[1].verdict, ADOPT_PORT_LEFT_OUT);
	adoption_free(adoption);
}

static void only_listening_sockets_count(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	struct adoption *adoption;

	assert_int_equal(server_listen(a, &at, SERVER_BIND_ONLY), 0);
	adoption = rig_try_adopt(rig, a);
	assert_int_equal(adoption->n, 0);
	adoption_free(adoption);
}

static void an_empty_or_missing_cgroup_is_no_crash(void **state)
{
	struct rig *rig = *state;
	struct adopt_scope scope = {.cgroup = "/hotstandby-test.none"};
	struct adoption *adoption = NULL;
	struct problem problem = {0};

	assert_int_equal(adoption_begin(rig->plane, &scope, &adoption, &problem), -ENOENT);
	assert_null(adoption);
	assert_non_null(strstr(problem.text, scope.cgroup));
	scope.cgroup = server_start(rig, 0)->cgroup;
	server_kill(rig->servers[0]);
	assert_int_equal(adoption_begin(rig->plane, &scope, &adoption, &problem), 0);
	assert_int_equal(adoption->n, 0);
	assert_int_equal(adoption_commit(rig->plane, 0, adoption), 0);
	assert_int_equal(hs_word_active(plane_word(rig->plane)), HS_SLOT_NONE);
	adoption_free(adoption);
}

static void a_second_adoption_changes_nothing(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	uint64_t word;

	serve_pair(&pair);
	rig_flip(rig, 1);
	word = plane_word(rig->plane);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig_adopt(rig, pair.a), 0);
		assert_int_equal(rig_adopt(rig, pair.b), 0);
	}
	assert_int_equal(plane_word(rig->plane), word);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 1);
	assert_int_equal(ask_often(&at, 20).of['B'], 20);
}

static void a_socket_of_several_processes_is_taken_once(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);

	server_listen(a, &at, 0);
	server_fork(a);
	server_fork(a);
	assert_int_equal(rig_adopt(rig, a), 1);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 1);
}

/* As from systemd: another process has made it, in another cgroup. */
static void an_inherited_socket_is_adopted(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct sockaddr_storage address;
	socklen_t size = address_to_sockaddr(&at, &address);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct server *a;

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 100), 0);
	a = server_start_holding(rig, 0, fd);
	close(fd);
	assert_int_equal(rig_adopt(rig, a), 1);
	server_serve(a, true);
	assert_int_equal(ask(&at), 'A');
	start_adopted(rig, 1, &at);
	server_kill(a);
	/* its last owner is gone, with the process */
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 0);
}

static struct adoption *begin(struct rig *rig, struct server *server)
{
	struct adopt_scope scope = {.cgroup = server->cgroup, .slot = server->slot};
	struct adoption *adoption;
	struct problem problem;

	assert_int_equal(adoption_begin(rig->plane, &scope, &adoption, &problem), 0);
	assert_int_equal(adoption->adopted, 1);
	return adoption;
}

static void what_dies_meanwhile_is_forgotten(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);
	struct adoption *killed, *closed;

	server_listen(a, &at, 0);
	server_listen(b, &at, 0);
	killed = begin(rig, a);
	closed = begin(rig, b);
	server_kill(a);
	server_close(b, 0);
	assert_int_equal(adoption_commit(rig->plane, 0, killed), 0);
	assert_int_equal(adoption_commit(rig->plane, 1, closed), 0);
	assert_int_equal(killed->adopted + closed->adopted, 0);
	assert_int_equal(killed->fresh + closed->fresh, 0);
	/* nothing is wrong with a socket that is gone */
	assert_int_equal(killed->refused + closed->refused, 0);
	assert_int_equal(plane_live_slots(rig->plane), 0);
	assert_int_equal(hs_word_active(plane_word(rig->plane)), HS_SLOT_NONE);
	adoption_free(killed);
	adoption_free(closed);
}

static void a_socket_that_is_adopted_elsewhere_is_refused(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int fd;

	/* the same processes under another slot, as if two units shared a cgroup */
	a->slot = 1;
	assert_verdict(rig, a, ADOPT_ERROR, "0.0.0.0:8080");
	assert_int_equal(plane_live_slots(rig->plane), 1);
	/* and its queue is still known to be the first one's */
	a->slot = 0;
	assert_int_equal(rig_adopt(rig, a), 0);
	fd = client_connect(&at);
	start_adopted(rig, 2, &at);
	server_kill(a);
	assert_int_equal(rig_slot(rig, 0).moved_out, 1);
	close(fd);
}

static void the_first_adopted_becomes_active(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *b = start_adopted(rig, 1, &at), *a;

	assert_int_equal(hs_word_active(plane_word(rig->plane)), 1);
	a = start_adopted(rig, 0, &at);
	assert_int_equal(hs_word_active(plane_word(rig->plane)), 1);
	server_kill(b);
	assert_int_equal(hs_word_active(plane_word(rig->plane)), 1);
	/* the word names a dead one; whoever is adopted then is it */
	assert_int_equal(rig_adopt(rig, a), 0);
	assert_int_equal(hs_word_active(plane_word(rig->plane)), 0);
}

/* Runs `task` in two processes that start at the same instant; both must exit with 0. */
static void in_two_processes(struct rig *rig, void (*task)(struct rig *rig))
{
	pid_t pids[2];
	int start[2], status;

	assert_int_equal(pipe(start), 0);
	for (int i = 0; i < 2; i++) {
		char byte;

		pids[i] = fork();
		if (pids[i])
			continue;
		close(start[1]);
		(void)!read(start[0], &byte, 1);
		task(rig);
		_exit(0);
	}
	close(start[0]);
	close(start[1]);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

/* Not with cmocka's means, which belong to the parent. */
static void adopt_or_exit(struct rig *rig)
{
	struct server *server = rig->servers[0];
	struct adopt_scope scope = {.cgroup = server->cgroup, .slot = server->slot};
	struct adoption *adoption;
	struct accounting *accounting;
	struct plane *plane;
	struct problem problem;

	if (accounting_open(&accounting, &problem) < 0 ||
	    plane_create("web", accounting, &plane, &problem) < 0 ||
	    adoption_begin(plane, &scope, &adoption, &problem) < 0)
		_exit(1);
	if (adoption_commit(plane, server->slot, adoption) < 0 || adoption->refused)
		_exit(2);
	_exit(adoption->adopted == 16 ? 0 : 3);
}

static void two_may_adopt_at_once(void **state)
{
	enum { ROUNDS = 20, SHARDS = 16 };
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);

	for (int i = 0; i < SHARDS; i++)
		server_listen(a, &at, 0);
	for (int round = 0; round < ROUNDS; round++) {
		in_two_processes(rig, adopt_or_exit);
		assert_int_equal(plane_refresh(rig->plane), 0);
		assert_int_equal(plane_slot_sockets(rig->plane, 0), SHARDS);
		plane_destroy(rig->plane);
		rig->plane = plane_free(rig->plane);
		assert_int_equal(
			plane_create("web", rig->accounting, &rig->plane, &(struct problem) {0}),
			0);
	}
}

static void a_process_below_the_cgroup_is_found(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);

	server_listen(a, &at, 0);
	/* the rig's group is the parent of the server's: Delegate=yes looks like that */
	snprintf(a->cgroup, sizeof(a->cgroup), "%s", rig->group);
	assert_int_equal(rig_adopt(rig, a), 1);
}

static void a_server_that_starts_over_takes_its_places_again(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);

	serve_pair(&pair);
	for (int i = 0; i < 8; i++) {
		server_kill(pair.a);
		assert_int_equal(ask(&at), 'B');
		pair.a = start_adopted(rig, 0, &at);
		server_serve(pair.a, true);
		rig_flip(rig, 0);
		assert_int_equal(ask(&at), 'A');
	}
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 1);
}

static void leaving_hands_over_or_says_why_not(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	unsigned to = 99;

	serve_pair(&pair);
	assert_int_equal(retire_leave(rig->plane, 2, ~0U, &to), RETIRE_NOT_HERE);
	assert_int_equal(to, 99);
	assert_int_equal(retire_leave(rig->plane, 0, ~0U, &to), RETIRE_DONE);
	assert_int_equal(to, 1);
	assert_int_equal(ask_often(&at, 20).of['B'], 20);
	assert_int_equal(rig_slot(rig, 1).fell_through, 0);
	/* as it was withdrawn */
	assert_int_equal(retire_leave(rig->plane, 0, ~0U, &to), RETIRE_NOT_HERE);
	to = 99;
	assert_int_equal(retire_leave(rig->plane, 1, ~0U, &to), RETIRE_LAST);
	assert_int_equal(to, 99);
	assert_int_equal(ask_often(&at, 20).of['B'], 20);
	/* it may come back */
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	rig_flip(rig, 0);
	assert_int_equal(ask(&at), 'A');
}

static void leaving_as_standby_does_not_flip(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	uint64_t word = plane_word(rig->plane);
	unsigned to;

	serve_pair(&pair);
	assert_int_equal(retire_leave(rig->plane, 1, ~0U, &to), RETIRE_DONE);
	assert_int_equal(to, 0);
	assert_int_equal(plane_word(rig->plane), word);
}

static void leaving_prefers_the_allowed(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	unsigned to;

	start_pair(rig, &at);
	start_adopted(rig, 2, &at);
	assert_int_equal(retire_leave(rig->plane, 0, 1U << 2, &to), RETIRE_DONE);
	assert_int_equal(to, 2);
	/* better one that is not allowed than none */
	assert_int_equal(retire_leave(rig->plane, 2, 1U << 9, &to), RETIRE_DONE);
	assert_int_equal(to, 1);
}

/* Tells a crash from an end on purpose, also to a manager that starts later. */
static void whether_a_slot_was_retired_is_remembered(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair;
	unsigned to;

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		assert_true(plane_is_retired(rig->plane, slot));
	pair = start_pair(rig, &at);
	assert_false(plane_is_retired(rig->plane, 0));
	assert_false(plane_is_retired(rig->plane, 1));
	assert_true(plane_is_retired(rig->plane, 2));
	server_kill(pair.b);
	assert_false(plane_is_retired(rig->plane, 1));
	pair.b = start_adopted(rig, 1, &at);
	assert_int_equal(retire_leave(rig->plane, 0, ~0U, &to), RETIRE_DONE);
	rig->plane = plane_free(rig->plane);
	rig->accounting = accounting_free(rig->accounting);
	rig_planes(rig);
	assert_true(plane_is_retired(rig->plane, 0));
	assert_false(plane_is_retired(rig->plane, 1));
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	assert_false(plane_is_retired(rig->plane, 0));
}

/* Rollback goes by the cookie of a socket: it must tell an instance from its successor. */
static void a_cookie_tells_whether_the_old_instance_lives(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	uint64_t word = plane_word(rig->plane), cookie = plane_slot_cookie(rig->plane, 0), got[2];

	assert_int_not_equal(cookie, 0);
	plane_previous(rig->plane, &got[0], &got[1]);
	assert_int_equal(got[0] | got[1], 0);
	rig_flip(rig, 1);
	plane_remember(rig->plane, word, cookie);
	plane_previous(rig->plane, &got[0], &got[1]);
	assert_int_equal(got[0], word);
	assert_true(plane_slot_has(rig->plane, 0, got[1]));
	assert_false(plane_slot_has(rig->plane, 1, got[1]));
	server_kill(pair.a);
	assert_false(plane_slot_has(rig->plane, 0, cookie));
	assert_int_equal(plane_slot_cookie(rig->plane, 0), 0);
	start_adopted(rig, 0, &at);
	assert_false(plane_slot_has(rig->plane, 0, cookie));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_socket_without_reuseport_is_refused),
		CASE(a_socket_that_sets_reuseport_too_late_is_refused),
		CASE(an_mptcp_listener_is_refused),
		CASE(ports_limit_what_is_adopted),
		CASE(only_listening_sockets_count),
		CASE(an_empty_or_missing_cgroup_is_no_crash),
		CASE(a_second_adoption_changes_nothing),
		CASE(a_socket_of_several_processes_is_taken_once),
		CASE(an_inherited_socket_is_adopted),
		CASE(what_dies_meanwhile_is_forgotten),
		CASE(a_socket_that_is_adopted_elsewhere_is_refused),
		CASE(the_first_adopted_becomes_active),
		CASE(two_may_adopt_at_once),
		CASE(a_process_below_the_cgroup_is_found),
		CASE(a_server_that_starts_over_takes_its_places_again),
		CASE(leaving_hands_over_or_says_why_not),
		CASE(leaving_as_standby_does_not_flip),
		CASE(leaving_prefers_the_allowed),
		CASE(whether_a_slot_was_retired_is_remembered),
		CASE(a_cookie_tells_whether_the_old_instance_lives),
	};

	return cases_run("adoption", tests);
}
