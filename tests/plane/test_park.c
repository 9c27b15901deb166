// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The park: a socket of the manager's own, where connections wait while no slot takes them.
 *
 *   1. a park is opened beside the slots' sockets, like the slot's own
 *   2. the slots go, or everything is held: clients connect all the same, and wait
 *   3. a slot comes, a new park is opened and the old one closed: the slot has them all, in order
 */
#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "plane/act/park.h"
#include "plane/borrow/scan.h"
#include "service/change/parking.h"

#define PORT	8080
#define CLIENTS 20
#define MANY	4000

static struct listener *listener_at(struct rig *rig, const struct address *at)
{
	struct listener *listener = plane_find(rig->plane, at);

	assert_non_null(listener);
	return listener;
}

/* One of the server's sockets, as hsd borrows it. */
static int borrow(const struct server *server)
{
	struct held_socket *held;
	size_t n;
	int fd;

	assert_int_equal(scan_cgroup(server->cgroup, &held, &n), 0);
	assert_true(n >= 1);
	assert_int_equal(scan_borrow(&held[0], &fd), 0);
	free(held);
	return fd;
}

static int open_park_of(struct rig *rig, const struct server *server, const struct address *at,
			unsigned max)
{
	_cleanup_(close_fdp) int model = borrow(server);
	int fd = -1;

	assert_int_equal(park_open(rig->plane, listener_at(rig, at), model, max, &fd), 0);
	return fd;
}

/* Not a wait for something, but the time that handshakes are given. */
static void settle(uint64_t usec)
{
	struct timespec span = {.tv_nsec = usec * NSEC_PER_USEC};

	if (usec)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
}

/* As hsd does it when a slot has come. Returns the new park. */
static int hand_over(struct rig *rig, const struct address *at, int park, int expected)
{
	struct listener *listener = listener_at(rig, at);
	int fd;

	assert_int_equal(park_open(rig->plane, listener, park, 0, &fd), 0);
	settle(PARK_SETTLE_USEC);
	assert_int_equal(park_close(listener, park), expected);
	close(park);
	return fd;
}

static void park_all(struct rig *rig, bool on)
{
	assert_true(plane_edit_word(rig->plane, word_park, WORD_ARGS(.on = on), NULL));
}

static void begin_clients(const struct address *at, int fds[CLIENTS])
{
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = client_connect(at);
		assert_true(fds[i] >= 0);
		client_send(fds[i], 'a' + i);
	}
}

static void assert_got_all(struct server *server, int fds[CLIENTS])
{
	char order[SERVER_TEXT_MAX];

	assert_int_equal(server_accept(server, order), CLIENTS);
	assert_string_equal(order, "abcdefghijklmnopqrst");
	server_serve(server, true);
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(client_read(fds[i]), server->name);
		client_reset(fds[i]);
	}
}

static void assert_nothing_left(struct rig *rig)
{
	for (unsigned place = 0; place < HS_PLACES_MAX; place++) {
		struct slot_totals totals;

		rig_until(!rig_slot(rig, place).connections);
		totals = rig_slot(rig, place);
		assert_int_equal(totals.opened + totals.moved_in, totals.closed + totals.moved_out);
	}
	assert_int_equal(rig_totals(rig).moves_missed, 0);
	assert_int_equal(rig_totals(rig).nothing_to_choose, 0);
}

/* The whole story: the only instance dies, clients wait, another comes. */
static void park_and_hand_over(struct rig *rig, const struct address *at)
{
	struct server *a = start_adopted(rig, 0, at), *b;
	int park = open_park_of(rig, a, at, 0), fds[CLIENTS];

	server_kill(a);
	begin_clients(at, fds);
	assert_int_equal(rig_queued(rig, HS_SLOT_PARK), CLIENTS);
	assert_int_equal(park_waiting(park), CLIENTS);
	assert_int_equal(rig_slot(rig, HS_SLOT_PARK).connections, CLIENTS);
	b = start_adopted(rig, 1, at);
	assert_int_equal(hs_word_active(plane_word(rig->plane)), 1);
	park = hand_over(rig, at, park, CLIENTS);
	assert_int_equal(rig_queued(rig, 1), CLIENTS);
	assert_int_equal(rig_queued(rig, HS_SLOT_PARK), 0);
	assert_int_equal(rig_slot(rig, HS_SLOT_PARK).connections, 0);
	assert_int_equal(rig_slot(rig, 1).connections, CLIENTS);
	assert_got_all(b, fds);
	assert_nothing_left(rig);
	close(park);
}

static void without_an_instance_clients_wait_for_the_next(void **state)
{
	struct address at = rig_any(PORT);

	park_and_hand_over(*state, &at);
}

static void for_ipv6_too(void **state)
{
	struct address at = rig_only6(PORT);

	park_and_hand_over(*state, &at);
}

static void for_a_dual_stack_listener_too(void **state)
{
	struct address at = rig_dual(PORT);

	park_and_hand_over(*state, &at);
}

static void for_a_specific_address_too(void **state)
{
	struct address at = rig_local(PORT);

	park_and_hand_over(*state, &at);
}

/* What waits on an instance that dies goes to the park with the rest, by the kernel alone. */
static void the_queue_of_a_dead_instance_waits_on(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at), *b;
	int park = open_park_of(rig, a, &at, 0), fds[CLIENTS];

	begin_clients(&at, fds);
	assert_int_equal(rig_queued(rig, 0), CLIENTS);
	server_kill(a);
	rig_until(rig_queued(rig, HS_SLOT_PARK) == CLIENTS);
	assert_int_equal(rig_slot(rig, 0).connections, 0);
	assert_int_equal(rig_slot(rig, HS_SLOT_PARK).connections, CLIENTS);
	b = start_adopted(rig, 0, &at);
	park = hand_over(rig, &at, park, CLIENTS);
	assert_got_all(b, fds);
	assert_nothing_left(rig);
	close(park);
}

static void the_last_slot_retires_into_the_park(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int park = open_park_of(rig, a, &at, 0), fds[CLIENTS], one;
	unsigned to;

	begin_clients(&at, fds);
	assert_int_equal(retire_leave(rig->plane, 0, ~0U, &to), RETIRE_LAST);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 1);
	assert_int_equal(retire_park(rig->plane, 0), RETIRE_PARKED);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 0);
	one = client_connect(&at);
	assert_int_equal(rig_queued(rig, HS_SLOT_PARK), 1);
	client_reset(one);
	assert_int_equal(bounce(rig->plane, 0, a->cgroup, false), CLIENTS);
	assert_int_equal(rig_queued(rig, HS_SLOT_PARK), CLIENTS + 1);
	assert_int_equal(server_accept(a, NULL), 0);
	server_kill(a);
	for (int i = 0; i < CLIENTS; i++)
		client_reset(fds[i]);
	close(park);
}

static void without_a_park_the_last_slot_stays(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	unsigned to;

	assert_int_equal(retire_leave(rig->plane, 0, ~0U, &to), RETIRE_LAST);
	assert_int_equal(retire_park(rig->plane, 0), RETIRE_LAST);
	assert_int_equal(plane_slot_sockets(rig->plane, 0), 1);
	server_serve(a, true);
	assert_int_equal(ask(&at), 'A');
}

/* A fail-over must not put there what the slot that goes on serving would get back. */
static void a_bounce_that_keeps_the_slot_spares_the_park(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int park = open_park_of(rig, a, &at, 0), fds[CLIENTS];

	begin_clients(&at, fds);
	assert_int_equal(bounce(rig->plane, 0, a->cgroup, true), 0);
	assert_got_all(a, fds);
	close(park);
}

static void with_the_flag_everything_waits(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int park = open_park_of(rig, pair.a, &at, 0), fds[CLIENTS];

	serve_pair(&pair);
	assert_int_equal(ask(&at), 'A');
	park_all(rig, true);
	begin_clients(&at, fds);
	assert_int_equal(rig_queued(rig, HS_SLOT_PARK), CLIENTS);
	assert_int_equal(rig_slot(rig, HS_SLOT_PARK).fell_through, 0);
	/* held means held: a new park gets what waited in the old one */
	park = hand_over(rig, &at, park, CLIENTS);
	assert_int_equal(rig_queued(rig, HS_SLOT_PARK), CLIENTS);
	server_serve(pair.a, false);
	park_all(rig, false);
	park = hand_over(rig, &at, park, CLIENTS);
	assert_got_all(pair.a, fds);
	assert_nothing_left(rig);
	close(park);
}

/* What could not be asked is not none: nothing can be asked without a descriptor. */
static void who_waits_may_be_unknown(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int park = open_park_of(rig, a, &at, 0), fds[CLIENTS];
	struct rlimit limit, none = {0};
	json_object *asked;
	uint32_t waiting;
	struct problem message;

	park_all(rig, true);
	begin_clients(&at, fds);
	assert_int_equal(parking_waiting(rig->plane), CLIENTS);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none.rlim_max = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	waiting = parking_waiting(rig->plane);
	asked = parking_json(rig->plane, "");
	parking_release(rig->plane, NULL, &message);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(waiting, QUEUED_UNKNOWN);
	assert_null(json_object_object_get(asked, "parked"));
	assert_true(json_object_object_get_ex(asked, "parked", NULL));
	assert_non_null(strstr(message.text, "and so do those that waited"));
	json_object_put(asked);
	close(park);
}

static void without_a_park_the_flag_means_nothing(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);

	serve_pair(&pair);
	park_all(rig, true);
	assert_int_equal(ask(&at), 'A');
	assert_int_equal(rig_totals(rig).nothing_to_choose, 0);
}

static void a_slot_is_preferred_to_the_park(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int park = open_park_of(rig, pair.a, &at, 0);

	serve_pair(&pair);
	server_kill(pair.a);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(ask(&at), 'B');
	assert_int_equal(rig_slot(rig, HS_SLOT_PARK).chosen, 0);
	close(park);
}

/* Full, it refuses nobody: the kernel drops the SYN and the client asks again. */
static void a_full_park_refuses_nobody(void **state)
{
	enum { MAX = 4 };
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at), *b;
	int park = open_park_of(rig, a, &at, MAX), fds[MAX + 2];
	struct sockaddr_storage name;
	socklen_t size = address_to_sockaddr(&at, &name);

	server_kill(a);
	/* the kernel's limit is one more than it was told */
	for (int i = 0; i <= MAX; i++) {
		fds[i] = client_connect(&at);
		assert_true(fds[i] >= 0);
	}
	fds[MAX + 1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[MAX + 1], (struct sockaddr *)&name, size), -1);
	assert_int_equal(errno, EINPROGRESS);
	assert_int_equal(park_waiting(park), MAX + 1);
	b = start_adopted(rig, 1, &at);
	server_serve(b, true);
	park = hand_over(rig, &at, park, MAX + 1);
	/* it asks again after a second */
	assert_int_equal(poll(&(struct pollfd) {.fd = fds[MAX + 1], .events = POLLOUT}, 1, 10000),
			 1);
	fcntl(fds[MAX + 1], F_SETFL, 0);
	for (int i = 0; i <= MAX + 1; i++) {
		assert_int_equal(client_ask(fds[i]), 'B');
		client_reset(fds[i]);
	}
	close(park);
}

static void who_is_turned_away_reads_an_orderly_end(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int park = open_park_of(rig, a, &at, 0), fds[CLIENTS];
	char byte;

	server_kill(a);
	begin_clients(&at, fds);
	assert_int_equal(park_turn_away(park, 3), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(recv(fds[i], &byte, 1, 0), 0);
	assert_int_equal(recv(fds[3], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(park_waiting(park), CLIENTS - 3);
	assert_int_equal(park_turn_away(park, 1000), CLIENTS - 3);
	for (int i = 3; i < CLIENTS; i++)
		assert_int_equal(recv(fds[i], &byte, 1, 0), 0);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	assert_nothing_left(rig);
	close(park);
}

static int park_that_lingers(struct rig *rig, const struct server *server, const struct address *at,
			     int seconds)
{
	struct linger linger = {.l_onoff = 1, .l_linger = seconds};
	_cleanup_(close_fdp) int model = borrow(server);
	int park = -1;

	assert_int_equal(setsockopt(model, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	assert_int_equal(park_open(rig->plane, listener_at(rig, at), model, 0, &park), 0);
	return park;
}

/* The manager's loop must not wait for a client that has gone without a word. */
static void nobody_is_waited_for_who_is_turned_away(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int park = park_that_lingers(rig, a, &at, 5), fd;
	uint64_t begun;

	server_kill(a);
	fd = client_connect(&at);
	assert_int_equal(park_waiting(park), 1);
	assert_int_equal(system("ip link set lo down"), 0);
	begun = now_usec();
	assert_int_equal(park_turn_away(park, 1), 1);
	/* five seconds, if it was */
	assert_true(now_usec() - begun < USEC_PER_SEC);
	close(fd);
	close(park);
}

static void a_server_that_resets_has_a_park_that_does_not(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int park = park_that_lingers(rig, a, &at, 0), fd, error = -1;
	socklen_t size = sizeof(error);
	char byte;

	server_kill(a);
	fd = client_connect(&at);
	client_send(fd, 'a');
	assert_int_equal(park_turn_away(park, 1), 1);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	/* where a reset has come behind the end, this is EPIPE */
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
	assert_int_equal(error, 0);
	close(fd);
	close(park);
}

/* ---- what a park is like ---- */

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
	return value;
}

static void set_option(int fd, int level, int name, int value)
{
	assert_int_equal(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

static const struct set_option {
	int level, name, value;
} set_options[] = {
	{SOL_SOCKET, SO_KEEPALIVE, 1},	  {SOL_SOCKET, SO_PRIORITY, 3},
	{SOL_SOCKET, SO_MARK, 77},	  {SOL_SOCKET, SO_RCVLOWAT, 5},
	{IPPROTO_TCP, TCP_NODELAY, 1},	  {IPPROTO_TCP, TCP_KEEPIDLE, 33},
	{IPPROTO_TCP, TCP_KEEPINTVL, 11}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
	{IPPROTO_TCP, TCP_MAXSEG, 1000},  {IPPROTO_TCP, TCP_USER_TIMEOUT, 4321},
	{IPPROTO_TCP, TCP_FASTOPEN, 9},	  {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 7777},
	{IPPROTO_IP, IP_TOS, 0x10},	  {IPPROTO_IP, IP_TTL, 61},
	{IPPROTO_TCP, TCP_SAVE_SYN, 1},	  {SOL_SOCKET, SO_RCVBUF, 40000},
	{SOL_SOCKET, SO_SNDBUF, 50000},	  {IPPROTO_TCP, TCP_WINDOW_CLAMP, 30000},
};

static void a_park_has_the_options_of_its_model(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	_cleanup_(close_fdp) int model = borrow(a), plain = -1, park = -1;
	struct linger linger = {.l_onoff = 1, .l_linger = 7}, copied = {0};
	socklen_t size = sizeof(copied);

	assert_int_equal(park_open(rig->plane, listener_at(rig, &at), model, 0, &plain), 0);
	/* what nobody has set is as on any socket: buffers grow by themselves */
	assert_int_equal(option(plain, SOL_SOCKET, 72 /* SO_BUF_LOCK */), 0);
	assert_int_equal(option(plain, IPPROTO_TCP, TCP_MAXSEG),
			 option(model, IPPROTO_TCP, TCP_MAXSEG));
	for (size_t i = 0; i < ARRAY_SIZE(set_options); i++)
		set_option(model, set_options[i].level, set_options[i].name, set_options[i].value);
	assert_int_equal(setsockopt(model, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	assert_int_equal(setsockopt(model, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
	assert_int_equal(park_open(rig->plane, listener_at(rig, &at), model, 0, &park), 0);
	for (size_t i = 0; i < ARRAY_SIZE(set_options); i++)
		if (option(park, set_options[i].level, set_options[i].name) !=
		    option(model, set_options[i].level, set_options[i].name))
			fail_msg("option %d of level %d was not copied", set_options[i].name,
				 set_options[i].level);
	assert_int_equal(getsockopt(park, SOL_SOCKET, SO_LINGER, &copied, &size), 0);
	assert_int_equal(copied.l_linger, 7);
	/* and those that are what it must be */
	assert_int_equal(option(park, SOL_SOCKET, SO_REUSEPORT), 1);
	assert_true(fcntl(park, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(park, F_GETFD) & FD_CLOEXEC);
}

static void it_holds_as_many_as_its_model_or_as_it_is_told(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int park = open_park_of(rig, a, &at, 0);
	struct tcp_info info;
	socklen_t size = sizeof(info);

	assert_int_equal(getsockopt(park, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	assert_int_equal(info.tcpi_sacked, 4096);
	assert_int_equal(park_set_max(park, park, 17), 0);
	assert_int_equal(getsockopt(park, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	assert_int_equal(info.tcpi_sacked, 17);
	close(park);
}

/* The group of a server that runs as another user. */
static void a_park_has_the_owner_of_its_group(void **state)
{
	enum { UID = 65534 };
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a;
	struct stat st;
	int park;

	assert_int_equal(seteuid(UID), 0);
	park = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(seteuid(0), 0);
	set_option(park, SOL_SOCKET, SO_REUSEPORT, 1);
	assert_int_equal(bind(park,
			      (struct sockaddr *)&(struct sockaddr_in) {.sin_family = AF_INET,
									.sin_port = htons(PORT)},
			      sizeof(struct sockaddr_in)),
			 0);
	assert_int_equal(listen(park, 100), 0);
	a = server_start_holding(rig, 0, park);
	close(park);
	assert_int_equal(rig_adopt(rig, a), 1);
	park = open_park_of(rig, a, &at, 0);
	assert_int_equal(fstat(park, &st), 0);
	assert_int_equal(st.st_uid, UID);
	server_kill(a);
	close(client_connect(&at));
	assert_int_equal(rig_queued(rig, HS_SLOT_PARK), 1);
	close(park);
}

static void in_another_namespace_too(void **state)
{
	struct rig *rig = *state;
	_cleanup_(close_fdp) int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	_cleanup_(close_fdp) int other = -1;
	struct address at = rig_any(PORT);
	struct server *a, *b;
	int park, fd;
	struct stat st;

	case_needs(ABILITY_WAKEUP);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	other = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(other, &st), 0);
	rig_loopback_up();
	a = server_start(rig, 0);
	b = server_start(rig, 1);
	assert_int_equal(server_listen(a, &at, 0), 0);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	at.netns = st.st_ino;
	assert_int_equal(rig_adopt(rig, a), 1);
	park = open_park_of(rig, a, &at, 0);
	server_kill(a);
	assert_int_equal(setns(other, CLONE_NEWNET), 0);
	fd = client_connect(&at);
	assert_true(fd >= 0);
	assert_int_equal(server_listen(b, &at, 0), 0);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	assert_int_equal(park_waiting(park), 1);
	assert_int_equal(rig_queued(rig, HS_SLOT_PARK), 1);
	assert_int_equal(rig_adopt(rig, b), 1);
	park = hand_over(rig, &at, park, 1);
	server_serve(b, true);
	assert_int_equal(client_ask(fd), 'B');
	client_reset(fd);
	close(park);
}

/* The last socket but the park is gone; a new hsd has only what systemd kept. */
static void a_park_is_known_by_its_cookie(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int park = open_park_of(rig, a, &at, 0), stranger = borrow(a);
	struct listener *listener = listener_at(rig, &at);
	socklen_t size = sizeof(uint64_t);
	uint64_t cookie;

	assert_int_equal(getsockopt(park, SOL_SOCKET, SO_COOKIE, &cookie, &size), 0);
	assert_int_equal(listener_owner(listener, cookie), HS_SLOT_PARK);
	assert_int_equal(getsockopt(stranger, SOL_SOCKET, SO_COOKIE, &cookie, &size), 0);
	assert_int_equal(listener_owner(listener, cookie), 0);
	assert_int_equal(listener_owner(listener, cookie + 12345), HS_SLOT_NONE);
	close(stranger);
	/* again is no harm */
	assert_int_equal(park_put(rig->plane, listener, park), 0);
	assert_int_equal(plane_slot_sockets(rig->plane, HS_SLOT_PARK), 1);
	close(park);
}

/* What a new hsd learns of those who have waited before it came. */
static void the_ages_of_those_who_wait_are_known(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int park = open_park_of(rig, a, &at, 0), fds[3], accepted = client_connect(&at);
	uint64_t took;
	uint32_t *ages;
	size_t n;

	server_serve(a, true);
	assert_int_equal(client_ask(accepted), 'A');
	server_serve(a, false);
	/* this one waits on the slot, and comes to the park when that dies */
	fds[0] = client_connect(&at);
	/* its age counts from here on, which on a busy machine is later than connect(2) */
	rig_until(rig_queued(rig, 0) == 1);
	settle(50 * USEC_PER_MSEC);
	server_close(a, 0);
	fds[1] = client_connect(&at);
	rig_until(park_waiting(park) == 2);
	settle(50 * USEC_PER_MSEC);
	fds[2] = client_connect(&at);
	rig_until(park_waiting(park) == 3);
	took = now_usec();
	assert_int_equal(park_ages(rig->plane, listener_at(rig, &at), &ages, &n), 0);
	/* one is looked at after the other, and meanwhile they grow older */
	took = (now_usec() - took) / USEC_PER_MSEC + 1;
	assert_int_equal(n, 3);
	assert_true(ages[0] >= 90 && ages[1] >= 40);
	assert_true(ages[0] + took >= ages[1] + 40 && ages[1] + took >= ages[2] + 40);
	free(ages);
	for (int i = 0; i < 3; i++)
		client_reset(fds[i]);
	client_reset(accepted);
	close(park);
}

/* ---- many ---- */

static void many_are_handed_over_at_once(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at), *b;
	int park = open_park_of(rig, a, &at, 0), next;
	int *fds = calloc(MANY, sizeof(*fds));
	struct rlimit limit;
	uint64_t begun;

	case_needs(ABILITY_WAKEUP);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max = MAX(limit.rlim_max, 3 * MANY);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	server_kill(a);
	for (int i = 0; i < MANY; i++) {
		fds[i] = client_connect(&at);
		assert_true(fds[i] >= 0);
	}
	assert_int_equal(park_waiting(park), MANY);
	b = start_adopted(rig, 1, &at);
	assert_int_equal(park_open(rig->plane, listener_at(rig, &at), park, 0, &next), 0);
	begun = now_nsec();
	assert_int_equal(park_close(listener_at(rig, &at), park), MANY);
	print_message("# %u handed over in %.2f ms\n", MANY, (now_nsec() - begun) / 1e6);
	assert_int_equal(rig_queued(rig, 1), MANY);
	server_serve(b, true);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(client_ask(fds[i]), 'B');
		client_reset(fds[i]);
	}
	assert_nothing_left(rig);
	close(park);
	close(next);
	free(fds);
}

/* ---- under load ---- */

#define TURNS	400
#define THREADS 4

static struct load {
	struct address at;
	atomic_bool end;
	atomic_uint answered, lost;
} load;

static void *ask_until_the_end(void *userdata)
{
	(void)userdata;
	while (!load.end) {
		if (ask(&load.at) == 'A')
			load.answered++;
		else
			load.lost++;
	}
	return NULL;
}

/* Without a breath: the next handshakes are under way then. */
static void await_first(int park)
{
	uint64_t end = now_usec() + RIG_DEADLINE_USEC;

	while (!park_waiting(park))
		assert_true(now_usec() < end);
}

static void lose_in_turns(struct rig *rig, uint64_t settle_usec, bool must_lose_nothing)
{
	struct address at = rig_any(PORT);
	struct server *a = start_adopted(rig, 0, &at);
	int park = open_park_of(rig, a, &at, 0), next;
	pthread_t threads[THREADS];
	unsigned handed_over = 0;

	server_serve(a, true);
	memset(&load, 0, sizeof(load));
	load.at = at;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_until_the_end, NULL), 0);
	for (unsigned turn = 0; turn < TURNS; turn++) {
		park_all(rig, true);
		/* with all of them waiting nothing is under way; with the first, the others are */
		if (turn % 2)
			await_first(park);
		else
			rig_until(park_waiting(park) == THREADS);
		park_all(rig, false);
		assert_int_equal(park_open(rig->plane, listener_at(rig, &at), park, 0, &next), 0);
		settle(settle_usec);
		handed_over += park_close(listener_at(rig, &at), park);
		close(park);
		park = next;
	}
	load.end = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	print_message("# settle %4u us, %u turns: %u handed over, %u answered, %u lost\n",
		      (unsigned)settle_usec, TURNS, handed_over, load.answered, load.lost);
	if (must_lose_nothing)
		assert_int_equal(load.lost, 0);
	assert_nothing_left(rig);
	close(park);
}

static void settled_turns_lose_nothing(void **state)
{
	case_needs(ABILITY_WAKEUP);
	lose_in_turns(*state, PARK_SETTLE_USEC, true);
}

/* What the settling is good for. */
static void hasty_turns_are_the_baseline(void **state)
{
	case_needs(ABILITY_WAKEUP);
	lose_in_turns(*state, 0, false);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(without_an_instance_clients_wait_for_the_next),
		CASE(for_ipv6_too),
		CASE(for_a_dual_stack_listener_too),
		CASE(for_a_specific_address_too),
		CASE(the_queue_of_a_dead_instance_waits_on),
		CASE(the_last_slot_retires_into_the_park),
		CASE(without_a_park_the_last_slot_stays),
		CASE(a_bounce_that_keeps_the_slot_spares_the_park),
		CASE(with_the_flag_everything_waits),
		CASE(who_waits_may_be_unknown),
		CASE(without_a_park_the_flag_means_nothing),
		CASE(a_slot_is_preferred_to_the_park),
		CASE(a_full_park_refuses_nobody),
		CASE(who_is_turned_away_reads_an_orderly_end),
		CASE(nobody_is_waited_for_who_is_turned_away),
		CASE(a_server_that_resets_has_a_park_that_does_not),
		CASE(a_park_has_the_options_of_its_model),
		CASE(it_holds_as_many_as_its_model_or_as_it_is_told),
		CASE(a_park_has_the_owner_of_its_group),
		CASE(in_another_namespace_too),
		CASE(a_park_is_known_by_its_cookie),
		CASE(the_ages_of_those_who_wait_are_known),
		CASE(many_are_handed_over_at_once),
		CASE(settled_turns_lose_nothing),
		CASE(hasty_turns_are_the_baseline),
	};

	return cases_run("park", tests);
}
