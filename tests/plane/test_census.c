// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What connections are doing: how many, how old, how idle, how many are on their way. Known numbers
 * of each kind on both slots, whatever slot they began on and wherever their sockets are.
 */
#include "cases.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#include "plane/plane_census.h"

#define PORT	8080
#define CLIENTS 10

/* What the kernel's ticks and its coarse clock may be behind. */
#define GRAIN_USEC (40 * USEC_PER_MSEC)

struct sight {
	struct place_census places[HS_PLACES_MAX];
};

/* Idle is who has been so since that moment (microseconds, monotonic). */
static struct sight look_since(const struct rig *rig, uint64_t moment)
{
	struct problem problem = {0};
	struct sight sight = {0};

	case_needs_iterators();
	if (plane_census(rig->plane, now_usec() - moment, sight.places, &problem) < 0)
		fail_msg("%s", problem.text);
	return sight;
}

static struct place_census look(const struct rig *rig, unsigned place)
{
	return look_since(rig, 0).places[place];
}

static void connect_all(const struct address *at, int fds[CLIENTS])
{
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = client_connect(at);
		assert_true(fds[i] >= 0);
	}
}

static void reset_all(int fds[CLIENTS])
{
	for (int i = 0; i < CLIENTS; i++)
		client_reset(fds[i]);
}

static void nobody_is_there(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct place_census none = {0};
	struct sight sight;

	start_pair(rig, &at);
	sight = look_since(rig, 0);
	for (unsigned i = 0; i < HS_PLACES_MAX; i++)
		assert_memory_equal(&sight.places[i], &none, sizeof(none));
}

/* Both slots, connections that wait, and those that the kernel has moved. */
static void it_counts_as_the_accounting_does(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int old[CLIENTS], moved[CLIENTS], fresh[CLIENTS];

	connect_all(&at, old);
	assert_int_equal(server_accept(pair.a, NULL), CLIENTS);
	connect_all(&at, moved);
	assert_int_equal(look(rig, 0).connections, 2 * CLIENTS);
	server_close(pair.a, 0);
	rig_flip(rig, 1);
	connect_all(&at, fresh);
	assert_int_equal(look(rig, 0).connections, CLIENTS);
	assert_int_equal(look(rig, 1).connections, 2 * CLIENTS);
	assert_int_equal(rig_slot(rig, 0).connections, CLIENTS);
	assert_int_equal(rig_slot(rig, 1).connections, 2 * CLIENTS);
	reset_all(moved);
	rig_until(look(rig, 1).connections == CLIENTS);
	reset_all(old);
	reset_all(fresh);
	rig_until(!look(rig, 0).connections && !look(rig, 1).connections);
}

/* The oldest connection there began between these two moments. */
static void assert_began(const struct rig *rig, unsigned place, uint64_t after, uint64_t before)
{
	uint64_t from = now_usec(), age = look(rig, place).oldest_usec, until = now_usec();

	if (age + GRAIN_USEC < from - before || age > until - after + GRAIN_USEC)
		fail_msg("%lu us is not between %lu and %lu", age, from - before, until - after);
}

/* It is the first one's, also when that has moved; and then the next one's. */
static void the_age_is_that_of_the_oldest(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	uint64_t begun = now_usec(), then, later;
	int first = client_connect(&at), second;

	then = now_usec();
	rig_until(now_usec() > then + 4 * GRAIN_USEC);
	later = now_usec();
	second = client_connect(&at);
	assert_began(rig, 0, begun, then);
	server_kill(pair.a);
	assert_int_equal(look(rig, 0).oldest_usec, 0);
	assert_began(rig, 1, begun, then);
	client_reset(first);
	rig_until(look(rig, 1).connections == 1);
	assert_began(rig, 1, later, now_usec());
	client_reset(second);
}

/* Data from the client, from the server, or none: the first two are not idle. */
static void idle_is_who_has_no_data_either_way(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	int quiet[CLIENTS], busy[CLIENTS];
	uint64_t begun, middle;

	serve_pair(&pair);
	connect_all(&at, quiet);
	connect_all(&at, busy);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(client_ask(quiet[i]), 'A');
	begun = now_usec();
	middle = begun + 2 * GRAIN_USEC;
	rig_until(now_usec() > middle + 4 * GRAIN_USEC);
	assert_int_equal(look_since(rig, middle).places[0].idle, 2 * CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(client_ask(busy[i]), 'A');
	rig_until(look_since(rig, middle).places[0].idle == CLIENTS);
	assert_true(look(rig, 0).idlest_usec + GRAIN_USEC > now_usec() - begun);
	assert_int_equal(look(rig, 0).connections, 2 * CLIENTS);
	reset_all(quiet);
	rig_until(!look_since(rig, middle).places[0].idle);
	reset_all(busy);
}

/* A server that hangs: what a client sends is data all the same, though nobody reads it. */
static void data_that_nobody_reads_is_data(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	int fd;
	uint64_t middle;

	start_pair(rig, &at);
	fd = client_connect(&at);
	middle = now_usec() + 2 * GRAIN_USEC;
	rig_until(now_usec() > middle + 2 * GRAIN_USEC);
	assert_int_equal(look_since(rig, middle).places[0].idle, 1);
	client_send(fd, 'x');
	rig_until(!look_since(rig, middle).places[0].idle);
	client_reset(fd);
}

static void begin_handshakes(int wire, struct wire_flow *flows, unsigned n, uint16_t from)
{
	for (unsigned i = 0; i < n; i++) {
		flows[i] = (struct wire_flow) {
			.family = AF_INET, .from = from + i, .to = PORT, .sequence = 1000};
		wire_begin(wire, &flows[i]);
	}
}

static void half_open_handshakes_are_their_listeners(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	struct wire_flow a[3], b[2];
	int wire = wire_open();

	if (wire < 0) {
		print_message("# needs /dev/net/tun\n");
		skip();
	}
	serve_pair(&pair);
	begin_handshakes(wire, a, 3, 20001);
	rig_flip(rig, 1);
	begin_handshakes(wire, b, 2, 21001);
	assert_int_equal(look(rig, 0).half_open, 3);
	assert_int_equal(look(rig, 1).half_open, 2);
	assert_int_equal(look(rig, 0).connections, 0);
	wire_finish(wire, &a[0]);
	assert_int_equal(wire_ask(wire, &a[0]), 'A');
	assert_int_equal(look(rig, 0).half_open, 2);
	assert_int_equal(look(rig, 0).connections, 1);
	wire_reset(wire, &b[0]);
	rig_until(look(rig, 1).half_open == 1);
	wire_reset(wire, &a[0]);
	rig_until(!look(rig, 0).connections);
	close(wire);
}

/* ---- one by one ---- */

struct told {
	const struct rig *rig;
	struct address peers[4 * CLIENTS];
	unsigned n, waiting, untimed;
	unsigned of[HS_PLACES_MAX];
	uint32_t idlest_ms;
	uint64_t oldest_usec;
	uint32_t netns;
};

static int on_told(const struct connection *connection, void *userdata)
{
	struct told *told = userdata;

	assert_true(told->n < 4 * CLIENTS);
	assert_int_equal(connection->local.port, PORT);
	told->peers[told->n++] = connection->peer;
	told->netns = connection->local.netns;
	told->waiting += connection_waits(connection);
	told->untimed += !connection->timed;
	told->of[accounting_slot_of(told->rig->accounting, connection->cookie, &connection->tag)]++;
	told->idlest_ms = MAX(told->idlest_ms, MIN(connection->received_ms, connection->sent_ms));
	told->oldest_usec = MAX(told->oldest_usec, connection_age(connection));
	return 0;
}

static struct told tell(const struct rig *rig)
{
	struct told told = {.rig = rig};

	assert_int_equal(plane_each_connection(rig->plane, on_told, &told), 0);
	return told;
}

/* The accounting is the machine's, and so is the census. */
static void other_network_namespaces_are_seen_as_well(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct server *a = server_start(rig, 0);
	int home, there;
	int fds[CLIENTS];

	server_isolate(a, NULL);
	assert_int_equal(server_listen(a, &at, 0), 0);
	assert_int_equal(rig_adopt(rig, a), 1);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	there = open(pin_path("/proc/%d/ns/net", a->pid).text, O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	connect_all(&at, fds);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	assert_int_equal(look(rig, 0).connections, CLIENTS);
	assert_int_equal(tell(rig).n, CLIENTS);
	assert_int_equal(tell(rig).netns,
			 plane_listeners(rig->plane, &(size_t) {0})[0]->address.netns);
	reset_all(fds);
	close(there);
	close(home);
}

static bool is_told(const struct told *told, int client)
{
	struct sockaddr_in own;
	socklen_t size = sizeof(own);

	assert_int_equal(getsockname(client, (struct sockaddr *)&own, &size), 0);
	for (unsigned i = 0; i < told->n; i++)
		if (told->peers[i].port == ntohs(own.sin_port) &&
		    !memcmp(told->peers[i].ip + (told->peers[i].family == AF_INET ? 0 : 12),
			    &own.sin_addr, 4))
			return true;
	return false;
}

/* Half of them had come when that began, the last 4 grains later. */
static void assert_times(const struct told *told, uint64_t begun)
{
	assert_int_equal(told->untimed, case_has_iterators() ? 0 : told->n);
	if (told->untimed)
		return;
	assert_true(told->idlest_ms * USEC_PER_MSEC + GRAIN_USEC >= 4 * GRAIN_USEC);
	assert_true(told->oldest_usec + GRAIN_USEC >= 4 * GRAIN_USEC);
	assert_true(told->oldest_usec <= now_usec() - begun + GRAIN_USEC);
}

/* Each with its ends, whether it waits, and its times, also when it has moved. */
static void each_is_told(struct rig *rig, const struct address *at)
{
	struct address v4 = rig_local(PORT);
	struct pair pair = start_pair(rig, at);
	int accepted[CLIENTS], moved[CLIENTS], fresh[CLIENTS];
	uint64_t begun = now_usec();
	struct told told;

	connect_all(&v4, accepted);
	assert_int_equal(server_accept(pair.a, NULL), CLIENTS);
	connect_all(&v4, moved);
	rig_until(now_usec() > begun + 4 * GRAIN_USEC);
	server_close(pair.a, 0);
	rig_flip(rig, 1);
	connect_all(&v4, fresh);
	told = tell(rig);
	assert_int_equal(told.n, 3 * CLIENTS);
	assert_int_equal(told.waiting, 2 * CLIENTS);
	assert_int_equal(told.of[0], CLIENTS);
	assert_int_equal(told.of[1], 2 * CLIENTS);
	assert_times(&told, begun);
	for (int i = 0; i < CLIENTS; i++)
		assert_true(is_told(&told, accepted[i]) && is_told(&told, moved[i]) &&
			    is_told(&told, fresh[i]));
	reset_all(accepted);
	reset_all(moved);
	reset_all(fresh);
	rig_until(tell(rig).n == 0);
}

static void each_connection_is_told(void **state)
{
	struct address at = rig_any(PORT);

	each_is_told(*state, &at);
}

static void each_connection_of_a_dual_stack_listener_is_told(void **state)
{
	struct address at = rig_dual(PORT);

	each_is_told(*state, &at);
}

static int stop_at_third(const struct connection *connection, void *userdata)
{
	(void)connection;
	return ++*(int *)userdata == 3 ? 77 : 0;
}

static void who_is_told_may_stop(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	int fds[CLIENTS], n = 0;

	start_pair(rig, &at);
	connect_all(&at, fds);
	assert_int_equal(plane_each_connection(rig->plane, stop_at_third, &n), 77);
	assert_int_equal(n, 3);
	reset_all(fds);
}

/* Neither what another service has nor what was there before the adoption. */
static void strangers_are_not_counted(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), other = rig_any(PORT + 1);
	struct server *a = server_start(rig, 0);
	int old[CLIENTS], theirs[CLIENTS];
	struct place_census places[HS_PLACES_MAX];
	struct plane *plane;

	server_listen(a, &at, 0);
	connect_all(&at, old);
	assert_int_equal(rig_adopt(rig, a), 1);
	assert_int_equal(plane_create("other", rig->accounting, &plane, NULL), 0);
	start_adopted(rig, 1, &other);
	rig_flip(rig, 1);
	connect_all(&other, theirs);
	assert_int_equal(look(rig, 0).connections, 0);
	assert_int_equal(look(rig, 1).connections, CLIENTS);
	assert_int_equal(plane_census(plane, 0, places, NULL), 0);
	assert_int_equal(places[0].connections + places[1].connections, 0);
	plane_free(plane);
	reset_all(old);
	reset_all(theirs);
}

static void without_accounting_it_says_so(void **state)
{
	struct place_census places[HS_PLACES_MAX];
	struct rig *rig = *state;
	struct problem problem = {0};

	assert_int_equal(plane_create("web", NULL, &rig->plane, &problem), 0);
	assert_int_equal(plane_census(rig->plane, 0, places, &problem), -EOPNOTSUPP);
	assert_non_null(strstr(problem.text, "start hsd"));
}

/* Then only this is not known: connections are counted all the same, and listed by sock_diag. */
static void assert_only_counted(const struct rig *rig, const char *reason)
{
	struct place_census places[HS_PLACES_MAX];
	struct problem problem = {0};

	assert_int_equal(plane_census(rig->plane, 0, places, &problem), -EOPNOTSUPP);
	assert_non_null(strstr(problem.text, reason));
	assert_int_equal(rig_slot(rig, 0).connections, CLIENTS);
	assert_int_equal(tell(rig).n, CLIENTS);
	assert_int_equal(tell(rig).untimed, CLIENTS);
}

static void on_a_kernel_that_lets_nobody_read_it_it_says_so(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	int fds[CLIENTS];

	if (case_has_iterators()) {
		print_message("# needs a kernel that lets nobody load it\n");
		skip();
	}
	start_pair(rig, &at);
	connect_all(&at, fds);
	assert_only_counted(rig, "lets nobody load");
	reset_all(fds);
}

static void on_a_kernel_that_does_not_describe_itself_it_says_so(void **state)
{
	static const char btf[] = "/sys/kernel/btf/vmlinux";
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	int fds[CLIENTS];

	case_needs_iterators();
	assert_int_equal(mount("/dev/null", btf, NULL, MS_BIND, NULL), 0);
	start_pair(rig, &at);
	connect_all(&at, fds);
	assert_only_counted(rig, btf);
	assert_int_equal(umount(btf), 0);
	assert_int_equal(look(rig, 0).connections, CLIENTS);
	reset_all(fds);
}

/* How many came in the last whole period, without anybody having looked before. */
static void the_rate_is_known_at_once(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	int fds[CLIENTS];

	start_pair(rig, &at);
	assert_true(rig_slot(rig, 0).opened_per_second == 0);
	connect_all(&at, fds);
	rig_until(rig_slot(rig, 0).opened_per_second > 0);
	assert_true(rig_slot(rig, 0).opened_per_second <= CLIENTS);
	assert_true(rig_slot(rig, 1).opened_per_second == 0);
	rig_until(rig_slot(rig, 0).opened_per_second == 0);
	reset_all(fds);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(nobody_is_there),
		CASE(it_counts_as_the_accounting_does),
		CASE(the_age_is_that_of_the_oldest),
		CASE(idle_is_who_has_no_data_either_way),
		CASE(data_that_nobody_reads_is_data),
		CASE(half_open_handshakes_are_their_listeners),
		CASE(other_network_namespaces_are_seen_as_well),
		CASE(each_connection_is_told),
		CASE(each_connection_of_a_dual_stack_listener_is_told),
		CASE(who_is_told_may_stop),
		CASE(strangers_are_not_counted),
		CASE(the_rate_is_known_at_once),
		BARE_CASE(without_accounting_it_says_so),
		CASE(on_a_kernel_that_lets_nobody_read_it_it_says_so),
		CASE(on_a_kernel_that_does_not_describe_itself_it_says_so),
	};

	return cases_run("census", tests);
}
