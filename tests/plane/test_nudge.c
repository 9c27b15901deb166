// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waking a server for what was moved to it. Kernels that need it are rare, so the tests make a
 * sleeper with a queue by other means:
 *
 *   1. a decoy waits in epoll_wait() with EPOLLEXCLUSIVE, first in the socket's line of waiters
 *   2. the sleeper to be tested lies down behind it, also exclusive (accept() always is)
 *   3. a client connects: the kernel wakes one, the decoy, who takes nothing
 *   4. a nudge must wake the sleeper, who takes the connection
 */
#include "cases.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "plane/act/nudge.h"
#include "util/files.h"

#define PORT	8080
#define CLIENTS 20

struct sleeper {
	pthread_t thread;
	int listener;	 /* blocking */
	uint32_t events; /* of its epoll; 0 = it sleeps in accept() */
	int epoll;	 /* of its own, -1 with accept() */
	pid_t tid;	 /* once it runs */
	int woken;	 /* 1 when it came back, with `got` */
	int got;	 /* what epoll_wait() or accept() returned */
};

static void *sleep_there(void *userdata)
{
	struct sleeper *sleeper = userdata;
	struct epoll_event event;

	__atomic_store_n(&sleeper->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	sleeper->got = sleeper->epoll < 0 ? accept(sleeper->listener, NULL, NULL)
					  : epoll_wait(sleeper->epoll, &event, 1, -1);
	__atomic_store_n(&sleeper->woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool is_woken(const struct sleeper *sleeper)
{
	return __atomic_load_n(&sleeper->woken, __ATOMIC_SEQ_CST);
}

/* In the system call, that is: state S, and the number of the call. */
static bool is_asleep(const struct sleeper *sleeper)
{
	pid_t tid = __atomic_load_n(&sleeper->tid, __ATOMIC_SEQ_CST);
	long wanted = sleeper->epoll < 0 ? SYS_accept : SYS_epoll_wait;
	_cleanup_(freep) char *text = NULL;

	if (!tid || file_read(pin_path("/proc/self/task/%d/syscall", tid).text, 4096, &text) < 0)
		return false;
	/* epoll_wait(3) may be epoll_pwait(2) */
	return atol(text) == wanted || (sleeper->epoll >= 0 && atol(text) == SYS_epoll_pwait);
}

static void lie_down(struct sleeper *sleeper, int listener, uint32_t events)
{
	struct epoll_event event = {.events = events};

	*sleeper = (struct sleeper) {.listener = listener, .events = events, .epoll = -1};
	if (events) {
		sleeper->epoll = epoll_create1(EPOLL_CLOEXEC);
		assert_int_equal(epoll_ctl(sleeper->epoll, EPOLL_CTL_ADD, listener, &event), 0);
	}
	assert_int_equal(pthread_create(&sleeper->thread, NULL, sleep_there, sleeper), 0);
	rig_until(is_asleep(sleeper));
}

static void get_up(struct sleeper *sleeper)
{
	pthread_join(sleeper->thread, NULL);
	if (sleeper->epoll >= 0)
		close(sleeper->epoll);
}

static int listen_here(const struct address *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_storage name;
	socklen_t size = address_to_sockaddr(at, &name);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, size), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void assert_nudge_wakes(const struct address *at, const char *what, uint32_t events)
{
	struct sleeper decoy, sleeper;
	int listener = listen_here(at), client;

	print_message("# %s\n", what);
	lie_down(&decoy, listener, EPOLLIN | EPOLLEXCLUSIVE);
	lie_down(&sleeper, listener, events);
	client = client_connect(at);
	assert_true(client >= 0);
	get_up(&decoy);
	assert_false(is_woken(&sleeper));
	assert_int_equal(nudge_socket(listener), 0);
	rig_until(is_woken(&sleeper));
	get_up(&sleeper);
	if (events) {
		assert_int_equal(sleeper.got, 1);
		sleeper.got = accept(listener, NULL, NULL);
	}
	assert_true(sleeper.got >= 0);
	close(sleeper.got);
	client_reset(client);
	close(listener);
}

static void a_nudge_wakes_whoever_sleeps(void **state)
{
	struct address at = rig_local(PORT);

	(void)state;
	assert_nudge_wakes(&at, "epoll, exclusive", EPOLLIN | EPOLLEXCLUSIVE);
	assert_nudge_wakes(&at, "epoll, exclusive and edge-triggered",
			   EPOLLIN | EPOLLEXCLUSIVE | EPOLLET);
	assert_nudge_wakes(&at, "accept", 0);
}

/* Shared waiters cannot be left asleep by a decoy, but an edge can be used up. */
static void a_nudge_is_a_new_edge(void **state)
{
	struct address at = rig_local(PORT);
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int listener = listen_here(&at), epoll = epoll_create1(EPOLL_CLOEXEC), client;

	(void)state;
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event), 0);
	client = client_connect(&at);
	assert_int_equal(epoll_wait(epoll, &event, 1, 1000), 1);
	assert_int_equal(epoll_wait(epoll, &event, 1, 0), 0);
	assert_int_equal(nudge_socket(listener), 0);
	assert_int_equal(epoll_wait(epoll, &event, 1, 0), 1);
	assert_int_equal(event.events, EPOLLIN);
	client_reset(client);
	close(epoll);
	close(listener);
}

/* Nobody is told anything, and the socket listens on. */
static void a_nudge_without_a_queue_is_nothing(void **state)
{
	struct address at = rig_local(PORT);
	struct epoll_event level = {.events = EPOLLIN | EPOLLRDHUP};
	struct epoll_event edge = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
	int listener = listen_here(&at), epoll = epoll_create1(EPOLL_CLOEXEC);
	int edges = epoll_create1(EPOLL_CLOEXEC), client;
	struct pollfd wait = {.fd = listener, .events = ~0};
	struct sleeper sleeper;

	(void)state;
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &level), 0);
	assert_int_equal(epoll_ctl(edges, EPOLL_CTL_ADD, listener, &edge), 0);
	lie_down(&sleeper, listener, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(nudge_socket(listener), 0);
	assert_int_equal(epoll_wait(epoll, &level, 1, 0), 0);
	assert_int_equal(epoll_wait(edges, &edge, 1, 0), 0);
	assert_int_equal(poll(&wait, 1, 0), 0);
	rig_until(is_asleep(&sleeper));
	assert_false(is_woken(&sleeper));
	client = client_connect(&at);
	rig_until(is_woken(&sleeper));
	get_up(&sleeper);
	assert_true(sleeper.got >= 0);
	close(sleeper.got);
	client_reset(client);
	close(epoll);
	close(edges);
	close(listener);
}

/* Of a service: only where something waits, and without a trace. */
static void a_slot_is_nudged_where_it_has_a_queue(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct server_state seen;
	int fds[CLIENTS];

	assert_int_equal(nudge(rig->plane, pair.a->cgroup), 0);
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = client_connect(&at);
	rig_until(rig_queued(rig, 0) == CLIENTS);
	assert_int_equal(nudge(rig->plane, pair.a->cgroup), 1);
	assert_int_equal(nudge(rig->plane, pair.b->cgroup), 0);
	assert_int_equal(rig_queued(rig, 0), CLIENTS);
	serve_pair(&pair);
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(client_ask(fds[i]), 'A');
		client_reset(fds[i]);
	}
	assert_int_equal(ask(&at), 'A');
	seen = server_state(pair.a);
	assert_int_equal(seen.hang_ups, 0);
	assert_int_equal(seen.accept_errors, 0);
}

/* The real thing: B sleeps when the queue of A comes to it. Where the kernel wakes it by itself the
 * nudge comes late, and finds nothing; elsewhere it is all that helps. */
static void a_server_serves_what_has_moved_to_it(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int fds[CLIENTS];

	server_serve(pair.b, true);
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = client_connect(&at);
	rig_until(rig_queued(rig, 0) == CLIENTS);
	server_kill(pair.a);
	assert_int_equal(rig_slot(rig, 1).migrated_in, CLIENTS);
	print_message("# %d left alone\n", (int)rig_queued(rig, 1));
	assert_true(nudge(rig->plane, pair.b->cgroup) >= 0);
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(client_ask(fds[i]), 'B');
		client_reset(fds[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE_CASE(a_nudge_wakes_whoever_sleeps),
		BARE_CASE(a_nudge_is_a_new_edge),
		BARE_CASE(a_nudge_without_a_queue_is_nothing),
		CASE(a_slot_is_nudged_where_it_has_a_queue),
		CASE(a_server_serves_what_has_moved_to_it),
	};

	return cases_run("nudge", tests);
}
