// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of connections that wait on a listener when it goes:
 *
 *   1. clients connect; nobody accepts, so they wait in A's accept queue (or are half open)
 *   2. A's listener goes: closed, shut down, killed, or bounced
 *   3. B accepts; every client must be answered by B, in the order in which they came
 */
#include "cases.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "plane/preview/preview.h"

#define PORT	8080
#define CLIENTS 20

/* CLIENTS connections to `at`; number N sends the Nth letter and waits. */
static void begin_clients(const struct address *at, int fds[CLIENTS])
{
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = client_connect(at);
		assert_true(fds[i] >= 0);
		client_send(fds[i], 'a' + i);
	}
}

static void assert_all_answered(int fds[CLIENTS], char name)
{
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(client_read(fds[i]), name);
		client_reset(fds[i]);
	}
}

static void assert_got_the_queue(struct server *server, int fds[CLIENTS])
{
	char order[SERVER_TEXT_MAX];

	assert_int_equal(server_accept(server, order), CLIENTS);
	assert_string_equal(order, "abcdefghijklmnopqrst");
	server_serve(server, true);
	assert_all_answered(fds, server->name);
}

static void close_listener(struct rig *rig, struct server *server)
{
	(void)rig;
	server_close(server, 0);
}

static void shut_listener_down(struct rig *rig, struct server *server)
{
	(void)rig;
	server_shutdown(server, 0);
}

static void kill_owner(struct rig *rig, struct server *server)
{
	(void)rig;
	server_kill(server);
}

/* Its owner hangs; when it looks again it must not find out. */
static void assert_bounce_moves_all(struct rig *rig, struct server *server, bool keep)
{
	struct server_state seen;

	server_hang(server, true);
	assert_int_equal(bounce(rig->plane, server->slot, server->cgroup, keep), CLIENTS);
	server_hang(server, false);
	assert_int_equal(server_accept(server, NULL), 0);
	seen = server_state(server);
	assert_int_equal(seen.hang_ups, 0);
	assert_int_equal(seen.accept_errors, 0);
}

static void bounce_out(struct rig *rig, struct server *server)
{
	unsigned to;

	assert_int_equal(retire_leave(rig->plane, server->slot, ~0U, &to), RETIRE_DONE);
	assert_int_equal(to, 1);
	assert_bounce_moves_all(rig, server, false);
	assert_int_equal(plane_slot_sockets(rig->plane, server->slot), 0);
}

static void bounce_and_keep(struct rig *rig, struct server *server)
{
	rig_flip(rig, 1);
	assert_bounce_moves_all(rig, server, true);
	assert_int_equal(plane_slot_sockets(rig->plane, server->slot), 1);
}

static const struct way {
	const char *name;
	void (*go)(struct rig *rig, struct server *server);
} ways[] = {
	{"close", close_listener}, {"shutdown", shut_listener_down},	 {"kill", kill_owner},
	{"bounce", bounce_out},	   {"bounce and keep", bounce_and_keep},
};

static void assert_moved_by(struct rig *rig, const struct address *at, const struct way *way)
{
	struct pair pair = start_pair(rig, at);
	int fds[CLIENTS];

	print_message("# %s\n", way->name);
	begin_clients(at, fds);
	assert_int_equal(rig_queued(rig, 0), CLIENTS);
	way->go(rig, pair.a);
	assert_int_equal(rig_queued(rig, 0), 0);
	assert_int_equal(rig_queued(rig, 1), CLIENTS);
	assert_int_equal(rig_slot(rig, 1).migrated_in, CLIENTS);
	assert_got_the_queue(pair.b, fds);
	server_kill(pair.a);
	server_kill(pair.b);
}

/* One after the other on the same listener: its pins outlive the servers, as in life. */
static void the_queue_moves_however_the_listener_goes(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		assert_moved_by(rig, &at, &ways[i]);
		/* a new plane counts from zero */
		plane_destroy(rig->plane);
		rig->plane = plane_free(rig->plane);
		rig->accounting = accounting_free(rig->accounting);
		rig_planes(rig);
	}
}

static void the_queue_moves_for_ipv6_too(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_only6(PORT);

	assert_moved_by(rig, &at, &ways[0]);
}

static void the_queue_of_a_dual_stack_listener_moves(void **state)
{
	struct rig *rig = *state;
	struct address dual = rig_dual(PORT), v4 = rig_local(PORT), v6 = rig_local6(PORT);
	struct pair pair = start_pair(rig, &dual);
	int fds[] = {client_connect(&v4), client_connect(&v6)};

	case_needs(ABILITY_WAKEUP);
	server_kill(pair.a);
	server_serve(pair.b, true);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		assert_int_equal(client_ask(fds[i]), 'B');
}

/* Through a duplicate a close moves nothing: the queue stays with whoever has it still. */
static void a_close_that_is_not_the_last_moves_nothing(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];
	pid_t holder = server_fork(pair.a);

	begin_clients(&at, fds);
	server_close(pair.a, 0);
	assert_int_equal(rig_queued(rig, 0), CLIENTS);
	assert_int_equal(rig_queued(rig, 1), 0);
	kill(holder, SIGKILL);
	rig_until(rig_queued(rig, 1) == CLIENTS);
	assert_got_the_queue(pair.b, fds);
}

static void the_target_takes_more_than_its_backlog(void **state)
{
	enum { MANY = 500 };
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at), *b = server_start(rig, 1);
	int fds[MANY];

	assert_int_equal(server_listen(b, &at, SERVER_SMALL_BACKLOG), 0);
	assert_int_equal(rig_adopt(rig, b), 1);
	for (int i = 0; i < MANY; i++) {
		fds[i] = client_connect(&at);
		assert_true(fds[i] >= 0);
	}
	server_kill(a);
	assert_int_equal(server_accept(b, NULL), MANY);
	server_serve(b, true);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(client_ask(fds[i]), 'B');
		client_reset(fds[i]);
	}
}

/* A poller of the new listener must be woken, else it sleeps on a full queue. */
static void the_new_owner_is_woken(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];

	case_needs(ABILITY_WAKEUP);
	server_serve(pair.b, true);
	begin_clients(&at, fds);
	server_kill(pair.a);
	assert_all_answered(fds, 'B');
}

static void with_no_slot_left_a_foreign_member_gets_the_queue(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at), *foreign = server_start(rig, 25);
	int fds[CLIENTS];

	assert_int_equal(server_listen(foreign, &at, 0), 0);
	begin_clients(&at, fds);
	server_kill(a);
	assert_int_equal(rig_totals(rig).nothing_to_choose, CLIENTS);
	assert_got_the_queue(foreign, fds);
}

/* From one shard of a slot to the next, as when a worker of a server ends. */
static void the_queue_of_a_dead_shard_stays_in_its_slot(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at), *b = start_adopted(rig, 1, &at);
	int fds[CLIENTS];

	begin_clients(&at, fds);
	server_listen(a, &at, 0);
	assert_int_equal(rig_adopt(rig, a), 1);
	server_close(a, 0);
	assert_int_equal(rig_queued(rig, 0), CLIENTS);
	assert_got_the_queue(a, fds);
	assert_int_equal(server_accept(b, NULL), 0);
}

static void after_a_bounce_the_owner_serves_again(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];

	begin_clients(&at, fds);
	bounce_and_keep(rig, pair.a);
	assert_got_the_queue(pair.b, fds);
	server_serve(pair.a, true);
	rig_flip(rig, 0);
	assert_int_equal(ask_often(&at, 20).of['A'], 20);
	assert_int_equal(rig_adopt(rig, pair.a), 0);
}

/* The kernel wakes whoever waits on a socket that is shut down, and in half of all cases that one
 * is on its way before the listen() that follows. So a socket without a queue is left alone. */
static void an_owner_that_waits_does_not_notice_a_bounce(void **state)
{
	enum { BOUNCES = 200 };
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);

	server_serve(pair.a, true);
	rig_flip(rig, 1);
	for (int i = 0; i < BOUNCES; i++)
		assert_int_equal(bounce(rig->plane, 0, pair.a->cgroup, true), 0);
	assert_int_equal(server_state(pair.a).hang_ups, 0);
	server_serve(pair.a, false);
	server_block(pair.a, 0);
	for (int i = 0; i < BOUNCES; i++)
		assert_int_equal(bounce(rig->plane, 0, pair.a->cgroup, true), 0);
	assert_int_equal(server_state(pair.a).accept_errors, 0);
	rig_flip(rig, 0);
	assert_int_equal(ask_often(&at, 10).of['A'], 10);
}

static void a_bounce_without_another_slot_does_nothing(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int fds[CLIENTS];

	begin_clients(&at, fds);
	assert_int_equal(bounce(rig->plane, 0, a->cgroup, false), 0);
	assert_got_the_queue(a, fds);
}

/* What is alive on one port cannot take what waits on another. */
static void a_bounce_spares_a_listener_that_only_this_slot_has(void **state)
{
	struct rig *rig = *state;
	struct address both = rig_any(PORT), alone = rig_any(PORT + 1);
	struct pair pair = start_pair(rig, &both);
	int fds[CLIENTS];

	assert_int_equal(server_listen(pair.a, &alone, 0), 1);
	assert_int_equal(rig_adopt(rig, pair.a), 1);
	rig_flip(rig, 1);
	begin_clients(&alone, fds);
	assert_int_equal(bounce(rig->plane, 0, pair.a->cgroup, false), 0);
	assert_got_the_queue(pair.a, fds);
}

/* Whether all sockets of a server block; they share their flags with us while we hold a copy. */
static void set_blocking(const struct server *server, bool blocking)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	size_t n;

	assert_int_equal(scan_cgroup(server->cgroup, &held, &n), 0);
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(close_fdp) int fd = -1;

		assert_int_equal(scan_borrow(&held[i], &fd), 0);
		assert_int_equal(fcntl(fd, F_SETFL, blocking ? 0 : O_NONBLOCK), 0);
	}
}

/* It may have polled before its queue was moved, and call accept(2) only now. */
static void who_may_sleep_in_accept_gets_a_last_connection(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];
	unsigned to;

	begin_clients(&at, fds);
	set_blocking(pair.a, true);
	assert_int_equal(retire_leave(rig->plane, 0, ~0U, &to), RETIRE_DONE);
	assert_int_equal(bounce(rig->plane, 0, pair.a->cgroup, false), CLIENTS);
	set_blocking(pair.a, false);
	assert_int_equal(server_accept(pair.a, NULL), 1);
	assert_int_equal(preview_count(rig->plane), 0);
	assert_got_the_queue(pair.b, fds);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(the_queue_moves_however_the_listener_goes),
		CASE(the_queue_moves_for_ipv6_too),
		CASE(the_queue_of_a_dual_stack_listener_moves),
		CASE(a_close_that_is_not_the_last_moves_nothing),
		CASE(the_target_takes_more_than_its_backlog),
		CASE(the_new_owner_is_woken),
		CASE(with_no_slot_left_a_foreign_member_gets_the_queue),
		CASE(the_queue_of_a_dead_shard_stays_in_its_slot),
		CASE(after_a_bounce_the_owner_serves_again),
		CASE(an_owner_that_waits_does_not_notice_a_bounce),
		CASE(a_bounce_without_another_slot_does_nothing),
		CASE(a_bounce_spares_a_listener_that_only_this_slot_has),
		CASE(who_may_sleep_in_accept_gets_a_last_connection),
	};

	return cases_run("migrate", tests);
}
