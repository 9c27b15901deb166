// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel side tells by itself: the rare cases of a service, and sockets that begin and
 * cease to listen. Told or lost, it never changes where a connection goes.
 */
#include "cases.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define PORT   8080
#define EVENTS 64

struct heard {
	struct hs_event events[EVENTS];
	unsigned n; /* counts on beyond EVENTS */
};

static void on_event(const struct hs_event *event, void *userdata)
{
	struct heard *heard = userdata;

	if (heard->n < EVENTS)
		heard->events[heard->n] = *event;
	heard->n++;
}

/* Waits until the descriptor says that there is something. */
static void wait_readable(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&poller, 1, RIG_DEADLINE_USEC / 1000), 1);
}

static bool is_readable(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	return poll(&poller, 1, 0) == 1;
}

static void assert_event(const struct hs_event *event, enum hs_event_kind kind, unsigned from,
			 unsigned to)
{
	assert_int_equal(event->kind, kind);
	assert_int_equal(event->from, from);
	assert_int_equal(event->to, to);
	assert_int_equal(event->sport, 20001);
	assert_in_range(event->time_ns, now_nsec() - NSEC_PER_USEC * RIG_DEADLINE_USEC, now_nsec());
}

static void a_fall_through_is_told(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct heard heard = {0};
	int fd;

	serve_pair(&pair);
	assert_int_equal(plane_events_watch(rig->plane, on_event, &heard, &fd), 0);
	assert_int_equal(ask_from(&at, 20001), 'A');
	assert_false(is_readable(fd));
	server_kill(pair.a);
	assert_int_equal(ask_from(&at, 20001), 'B');
	wait_readable(fd);
	assert_int_equal(plane_events_consume(rig->plane), 1);
	assert_int_equal(heard.n, 1);
	assert_event(&heard.events[0], HS_EVENT_FELL_THROUGH, 0, 1);
	assert_int_equal(heard.events[0].word, plane_word(rig->plane));
}

static void a_slot_that_was_withdrawn_is_no_news(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct heard heard = {0};
	unsigned to;
	int fd;

	serve_pair(&pair);
	rig_policy(rig, HS_POLICY_PARITY);
	assert_int_equal(plane_events_watch(rig->plane, on_event, &heard, &fd), 0);
	assert_int_equal(retire_leave(rig->plane, 0, ~0U, &to), RETIRE_DONE);
	assert_int_equal(ask_from(&at, 20002), 'B');
	assert_int_equal(plane_events_consume(rig->plane), 0);
	assert_int_equal(rig_slot(rig, 1).fell_through, 1);
}

static void migrations_are_told(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct heard heard = {0};
	int fd, client;

	assert_int_equal(plane_events_watch(rig->plane, on_event, &heard, &fd), 0);
	client = client_connect_from(&at, 20001);
	/* flipped before: nothing falls through */
	rig_flip(rig, 1);
	server_kill(pair.a);
	wait_readable(fd);
	plane_events_consume(rig->plane);
	assert_int_equal(heard.n, 1);
	assert_event(&heard.events[0], HS_EVENT_MIGRATED, 0, 1);
	client_reset(client);
}

static void nothing_to_choose_is_told(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct server *foreign = server_start(rig, 25);
	struct heard heard = {0};
	int fd;

	server_listen(foreign, &at, 0);
	server_serve(foreign, true);
	server_kill(pair.a);
	server_kill(pair.b);
	assert_int_equal(plane_events_watch(rig->plane, on_event, &heard, &fd), 0);
	assert_int_equal(ask_from(&at, 20001), 'Z');
	wait_readable(fd);
	plane_events_consume(rig->plane);
	assert_int_equal(heard.n, 1);
	assert_event(&heard.events[0], HS_EVENT_NOTHING, 0, HS_SLOT_NONE);
}

/* Nobody reads: the ring fills up, the rest is counted, traffic goes on. */
static void what_does_not_fit_is_counted(void **state)
{
	enum { FLOWS = 1800, RECORD = sizeof(struct hs_event) + 8, ROOM = 64 * 1024 / RECORD };
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct heard heard = {0};
	uint64_t lost, fell;
	int fd;

	serve_pair(&pair);
	server_kill(pair.a);
	assert_int_equal(ask_often(&at, FLOWS).of['B'], FLOWS);
	lost = rig_totals(rig).events_lost;
	/* on a slow machine a SYN or two are sent again, and chosen for again */
	fell = rig_slot(rig, 1).fell_through;
	assert_in_range(fell, FLOWS, FLOWS + FLOWS / 50);
	assert_in_range(lost, fell - ROOM, fell - ROOM + 1);
	assert_int_equal(plane_events_watch(rig->plane, on_event, &heard, &fd), 0);
	assert_true(is_readable(fd));
	plane_events_consume(rig->plane);
	assert_int_equal(heard.n + lost, fell);
	/* once read there is room again */
	assert_int_equal(ask(&at), 'B');
	plane_events_consume(rig->plane);
	assert_in_range(heard.n + lost, fell + 1, fell + 1 + FLOWS / 50);
}

/* Listens on it are told, whoever's they are: a port that no other test uses. */
static uint16_t own_port(void)
{
	return 1024 + getpid() % 8000;
}

struct listens {
	uint16_t port;
	struct hs_listen told[EVENTS];
	unsigned n;
};

static void on_listen(const struct hs_listen *listen, void *userdata)
{
	struct listens *listens = userdata;

	/* that there is traffic is told, too */
	if (listen->port == listens->port && !listen->service_id && listens->n < EVENTS)
		listens->told[listens->n++] = *listen;
}

static void watch(struct rig *rig, struct listens *listens)
{
	int fd;

	listens->port = own_port();
	assert_int_equal(accounting_watch_port(rig->accounting, own_port()), 0);
	assert_int_equal(accounting_listens_watch(rig->accounting, on_listen, listens, &fd), 0);
}

static unsigned hear(struct rig *rig, struct listens *listens)
{
	assert_true(accounting_listens_consume(rig->accounting) >= 0);
	return listens->n;
}

static void assert_listen(const struct hs_listen *listen, uint8_t family, bool closed)
{
	assert_int_equal(listen->family, family);
	assert_int_equal(listen->closed, closed);
	assert_int_not_equal(listen->cookie, 0);
}

static void listening_is_told(void **state)
{
	struct rig *rig = *state;
	struct address v4 = rig_any(own_port()), v6 = rig_only6(own_port());
	struct server *a = server_start(rig, 0);
	struct listens listens = {.port = own_port()};
	int fd;

	assert_int_equal(accounting_watch_port(rig->accounting, own_port()), 0);
	assert_int_equal(accounting_listens_watch(rig->accounting, on_listen, &listens, &fd), 0);
	server_listen(a, &v4, 0);
	wait_readable(fd);
	rig_until(hear(rig, &listens) == 1);
	assert_listen(&listens.told[0], AF_INET, false);
	server_listen(a, &v6, 0);
	rig_until(hear(rig, &listens) == 2);
	assert_listen(&listens.told[1], AF_INET6, false);
	server_close(a, 0);
	rig_until(hear(rig, &listens) == 3);
	assert_listen(&listens.told[2], AF_INET, true);
	assert_true(listens.told[2].cookie == listens.told[0].cookie);
	server_kill(a);
	rig_until(hear(rig, &listens) == 4);
	assert_listen(&listens.told[3], AF_INET6, true);
	assert_true(listens.told[3].cookie == listens.told[1].cookie);
}

/* Whoever is told can find the socket at once. */
static void the_cookie_is_that_of_adoption(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(own_port());
	struct listens listens = {0};

	watch(rig, &listens);
	start_adopted(rig, 0, &at);
	rig_until(hear(rig, &listens) == 1);
	assert_true(plane_slot_has(rig->plane, 0, listens.told[0].cookie));
}

static void what_was_before_the_watch_is_not_told(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(own_port());
	struct server *a = server_start(rig, 0);
	struct listens listens = {0};

	server_listen(a, &at, 0);
	watch(rig, &listens);
	assert_int_equal(hear(rig, &listens), 0);
	server_listen(a, &at, 0);
	rig_until(hear(rig, &listens) == 1);
}

/* A bounce looks like an end and a beginning of the same socket. */
static void a_bounce_is_told_as_both(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(own_port());
	struct pair pair = start_pair(rig, &at);
	struct listens listens = {.port = own_port()};
	int fd, client = client_connect(&at);

	rig_flip(rig, 1);
	assert_int_equal(accounting_listens_watch(rig->accounting, on_listen, &listens, &fd), 0);
	assert_int_equal(bounce(rig->plane, 0, pair.a->cgroup, true), 1);
	rig_until(hear(rig, &listens) == 2);
	assert_listen(&listens.told[0], AF_INET, true);
	assert_listen(&listens.told[1], AF_INET, false);
	assert_true(listens.told[0].cookie == listens.told[1].cookie);
	close(client);
}

/* A unit's own, on whatever port, also of what is below its cgroup; nobody else's. */
static void a_watched_cgroup_is_told_and_others_are_not(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(own_port());
	struct server *a = server_start(rig, 0), *stranger = server_start(rig, 1);
	struct listens listens = {.port = own_port()};
	int fd;

	assert_int_equal(accounting_watch_cgroup(rig->accounting, a->cgroup), 0);
	assert_int_equal(accounting_watch_cgroup(rig->accounting, a->cgroup), 0);
	assert_int_equal(accounting_listens_watch(rig->accounting, on_listen, &listens, &fd), 0);
	server_listen(stranger, &at, 0);
	server_close(stranger, 0);
	server_listen(a, &at, 0);
	rig_until(hear(rig, &listens) == 1);
	/* one that was not adopted is nothing to tell the end of */
	server_close(a, 0);
	assert_int_equal(accounting_unwatch_cgroup(rig->accounting, a->cgroup), 0);
	server_listen(a, &at, 0);
	assert_int_equal(hear(rig, &listens), 1);
	assert_int_equal(accounting_watch_cgroup(rig->accounting, "/no-such-group"), -ENOENT);
}

static void count(const struct hs_listen *listen, void *userdata)
{
	if (listen->port == own_port())
		(*(unsigned *)userdata)++;
}

/* Whoever listens without a pause: what is told at once is bounded, and so is what is told. */
static void a_flood_is_bounded_and_what_it_loses_is_counted(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_local(own_port());
	struct sockaddr_storage name;
	socklen_t size = address_to_sockaddr(&at, &name);
	uint64_t lost = 0, before;
	unsigned told = 0;
	int fd;

	assert_int_equal(accounting_watch_port(rig->accounting, own_port()), 0);
	assert_int_equal(accounting_listens_watch(rig->accounting, count, &told, &fd), 0);
	assert_int_equal(accounting_listens_lost(rig->accounting, &before), 0);
	for (uint64_t end = now_usec() + 1000000; lost <= before && now_usec() < end;) {
		int flood = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert_int_equal(bind(flood, (struct sockaddr *)&name, size), 0);
		assert_int_equal(listen(flood, 1), 0);
		close(flood);
		assert_int_equal(accounting_listens_lost(rig->accounting, &lost), 0);
	}
	assert_true(lost > before);
	wait_readable(fd);
	assert_true(accounting_listens_consume(rig->accounting) >= 0);
	assert_in_range(told, 1, ACCOUNTING_LISTENS_AT_ONCE);
	/* the rest comes with the next goes */
	rig_until(accounting_listens_consume(rig->accounting) == 0);
	assert_true(told >= HS_LISTENS_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_fall_through_is_told),
		CASE(a_slot_that_was_withdrawn_is_no_news),
		CASE(migrations_are_told),
		CASE(nothing_to_choose_is_told),
		CASE(what_does_not_fit_is_counted),
		CASE(listening_is_told),
		CASE(the_cookie_is_that_of_adoption),
		CASE(what_was_before_the_watch_is_not_told),
		CASE(a_bounce_is_told_as_both),
		CASE(a_watched_cgroup_is_told_and_others_are_not),
		CASE(a_flood_is_bounded_and_what_it_loses_is_counted),
	};

	return cases_run("events", tests);
}
