// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fast path as a service has it: who is on it and who is not, what is counted, what becomes of
 * those that live when it is taken away, and of a connection that moves before it is accepted.
 */
#include "cases.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "plane/fast/fast.h"
#include "plane/kernel/cgroup.h"
#include "plane/plane_census.h"

#define PORT 8080
#define UNIT "client.service"

DEFINE_CLEANUP(struct fast, fast_free)

static const uint16_t ports[] = {PORT};
static const char *const units[] = {UNIT, "other.service"};

static struct fast *open_fast(void)
{
	struct problem problem = {0};
	struct fast *fast;

	case_needs(ABILITY_LOADS_FAST);
	if (fast_open(&fast, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
	return fast;
}

static void allow(const struct fast *fast, const struct rig *rig, size_t n_units)
{
	struct fast_service service = {plane_id(rig->plane), units, n_units, ports, 1};
	struct problem problem = {0};

	if (fast_allow(fast, &service, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
}

static void enter_group(const char *group)
{
	char mount[PATH_MAX];
	FILE *file;

	assert_int_equal(cgroup_mount(mount, sizeof(mount)), 0);
	file = fopen(pin_path("%s%s/cgroup.procs", mount, group).text, "we");
	assert_non_null(file);
	assert_true(fprintf(file, "0\n") > 0);
	assert_int_equal(fclose(file), 0);
}

/* A group of clients below the rig's; it joins in this name. */
static struct pin_path make_group(const struct fast *fast, const struct rig *rig, const char *name,
				  const char *unit)
{
	struct pin_path group = pin_path("%s/%s", rig->group, name);
	struct problem problem = {0};
	char mount[PATH_MAX];

	assert_int_equal(cgroup_mount(mount, sizeof(mount)), 0);
	assert_int_equal(mkdir(pin_path("%s%s", mount, group.text).text, 0755), 0);
	if (unit && fast_join(fast, group.text, unit, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "%s", problem.text);
	return group;
}

/* A socket belongs to the group in which it was made. */
static int connect_in_from(const struct pin_path *group, const struct address *to, uint16_t port)
{
	char home[PATH_MAX];
	int fd;

	assert_int_equal(cgroup_of_process(getpid(), home), 0);
	enter_group(group->text);
	fd = client_connect_from(to, port);
	enter_group(home);
	assert_true(fd >= 0);
	return fd;
}

static int connect_in(const struct pin_path *group, const struct address *to)
{
	return connect_in_from(group, to, 0);
}

static struct hs_fast_counts counts_of(const struct fast *fast, const struct rig *rig,
				       unsigned slot)
{
	struct hs_fast_counts counts;

	assert_int_equal(fast_counts(fast, plane_id(rig->plane), slot, &counts), 0);
	return counts;
}

static int keep_pair(const struct hs_fast_pair *pair, void *userdata)
{
	*(struct hs_fast_pair *)userdata = *pair;
	return 1;
}

/* False: there is none. */
static bool find_pair(const struct fast *fast, const struct rig *rig, struct hs_fast_pair *ret)
{
	return fast_each_pair(fast, plane_id(rig->plane), keep_pair, ret);
}

struct scene {
	struct rig *rig;
	struct fast *fast;
	struct pin_path group;
	struct pair servers;
};

static struct scene begin(void **state, const struct address *address)
{
	struct scene scene = {.rig = *state, .fast = open_fast()};

	scene.servers = start_pair(scene.rig, address);
	scene.group = make_group(scene.fast, scene.rig, "client", UNIT);
	allow(scene.fast, scene.rig, 1);
	return scene;
}

/* ---- who is on it ---- */

static void is_on_it(void **state, const struct address *listens, const struct address *to)
{
	struct scene scene = begin(state, listens);
	struct hs_fast_counts counts;
	struct hs_fast_pair pair;
	int fd;

	serve_pair(&scene.servers);
	fd = connect_in(&scene.group, to);
	/* what is sent before the other end is there goes by TCP */
	rig_until(find_pair(scene.fast, scene.rig, &pair));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(plane_fast_sent(scene.rig->plane, 0), 3);
	assert_int_equal(plane_fast_sent(scene.rig->plane, 1), 0);
	assert_true(find_pair(scene.fast, scene.rig, &pair));
	assert_int_equal(pair.client, fast_client(UNIT));
	assert_int_equal(pair.end.local_port, PORT);
	for (unsigned side = 0; side < HS_FAST_SIDES; side++) {
		assert_int_equal(pair.directions[side].way, HS_FAST_FAST);
		assert_int_equal(pair.directions[side].fast_bytes, 3);
		assert_int_equal(pair.directions[side].tcp_bytes, 0);
		assert_true(pair.directions[side].last_ns >= pair.begun_ns);
	}
	close(fd);
	rig_until(counts_of(scene.fast, scene.rig, 0).ended == 1);
	assert_false(find_pair(scene.fast, scene.rig, &pair));
	counts = counts_of(scene.fast, scene.rig, 0);
	assert_int_equal(counts.begun, 1);
	assert_int_equal(counts.fast_bytes[HS_FAST_CLIENT], 3);
	assert_int_equal(counts.fast_bytes[HS_FAST_SERVER], 3);
	assert_int_equal(counts.refused, 0);
	fast_free(scene.fast);
}

static void over_ipv4(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);

	is_on_it(state, &any, &local);
}

static void over_ipv6(void **state)
{
	struct address any = rig_only6(PORT), local = rig_local6(PORT);

	is_on_it(state, &any, &local);
}

static void over_ipv4_on_a_dual_listener(void **state)
{
	struct address any = rig_dual(PORT), local = rig_local(PORT);

	is_on_it(state, &any, &local);
}

static void at_an_own_address(void **state)
{
	struct address any = rig_any(PORT), own = rig_any(PORT);

	memcpy(own.ip, (uint8_t[]) {10, 1, 2, 3}, 4);
	assert_int_equal(system("ip addr add 10.1.2.3/32 dev lo"), 0);
	is_on_it(state, &any, &own);
}

/* ---- who is not ---- */

static void goes_by_tcp(const struct scene *scene, const struct pin_path *group, uint16_t port)
{
	uint64_t begun = counts_of(scene->fast, scene->rig, 0).begun;
	struct address to = rig_local(port);
	int fd = connect_in(group, &to);

	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(counts_of(scene->fast, scene->rig, 0).begun, begun);
	close(fd);
}

static void who_was_not_named_goes_by_tcp(void **state)
{
	struct address any = rig_any(PORT), other = rig_any(PORT + 1), local = rig_local(PORT);
	struct scene scene = begin(state, &any);
	struct pin_path stranger = make_group(scene.fast, scene.rig, "stranger", NULL);
	struct pin_path second = make_group(scene.fast, scene.rig, "second", units[1]);

	assert_int_equal(server_listen(scene.servers.a, &other, 0), 1);
	assert_int_equal(rig_adopt(scene.rig, scene.servers.a), 1);
	serve_pair(&scene.servers);
	goes_by_tcp(&scene, &stranger, PORT);
	goes_by_tcp(&scene, &second, PORT);
	goes_by_tcp(&scene, &scene.group, PORT + 1);
	assert_int_equal(fast_part(scene.fast, scene.group.text), 0);
	goes_by_tcp(&scene, &scene.group, PORT);
	/* and once it is named, it does not */
	allow(scene.fast, scene.rig, 2);
	assert_int_equal(client_ask(connect_in(&second, &local)), 'A');
	assert_int_equal(counts_of(scene.fast, scene.rig, 0).begun, 1);
	fast_free(scene.fast);
}

/* A client of a listener that is not the service's and has more of a claim, as it is bound to the
 * device. Its other end is gone; it is not, and has not sent anything. */
static int client_of_another(const struct pin_path *group, const struct address *to, uint16_t port)
{
	struct sockaddr_storage address;
	socklen_t size = address_to_sockaddr(to, &address);
	int one = 1, listener = socket(to->family, SOCK_STREAM | SOCK_CLOEXEC, 0), server, client;

	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo")), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	client = connect_in_from(group, to, port);
	/* so that another one may have the same addresses and ports */
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo")), 0);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	assert_int_equal(setsockopt(server, IPPROTO_TCP, TCP_LINGER2, &one, sizeof(one)), 0);
	assert_int_equal(close(server), 0);
	assert_int_equal(close(listener), 0);
	return client;
}

static void same_addresses_are_not_the_same_connection(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct scene scene = begin(state, &any);
	int other = client_of_another(&scene.group, &local, 5555), fd = -1;

	serve_pair(&scene.servers);
	/* the other end of the first goes in a second */
	rig_until((fd = client_connect_from(&local, 5555)) >= 0);
	client_send(other, '!');
	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(client_read(other), ANSWER_RESET);
	assert_int_equal(plane_fast_sent(scene.rig->plane, 0), 0);
	assert_int_equal(counts_of(scene.fast, scene.rig, 0).begun, 0);
	close(other);
	close(fd);
	fast_free(scene.fast);
}

/* It goes by FIONREAD. */
static void nginx_is_kept_off(void **state)
{
	struct rig *rig = *state;
	struct fast *fast = open_fast();
	struct pin_path group = make_group(fast, rig, "proxy", NULL);
	struct problem problem = {0};
	char home[PATH_MAX], name[16];

	assert_int_equal(cgroup_of_process(getpid(), home), 0);
	assert_int_equal(prctl(PR_GET_NAME, name), 0);
	enter_group(group.text);
	assert_int_equal(fast_join(fast, group.text, UNIT, &problem), 0);
	assert_int_equal(prctl(PR_SET_NAME, "nginx"), 0);
	assert_int_equal(fast_join(fast, group.text, UNIT, &problem), -EOPNOTSUPP);
	assert_non_null(strstr(problem.text, "nginx is kept off"));
	assert_int_equal(prctl(PR_SET_NAME, name), 0);
	enter_group(home);
	fast_free(fast);
}

/* Connects the socket anew, and returns the other end of it. */
static int connect_again(int fd, const struct address *to)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage address;
	socklen_t size = address_to_sockaddr(to, &address);
	int listener = socket(to->family, SOCK_STREAM | SOCK_CLOEXEC, 0), ret;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
	ret = accept(listener, NULL, NULL);
	assert_true(ret >= 0);
	close(listener);
	return ret;
}

static void has_another_connection(void **state, bool serves)
{
	struct address any = rig_any(PORT), local = rig_local(PORT), next = rig_local(PORT + 1);
	struct scene scene = begin(state, &any);
	int client = connect_in(&scene.group, &local), other;
	char byte = '?';

	client_send(client, 'x');
	if (serves) {
		serve_pair(&scene.servers);
		rig_until(plane_fast_sent(scene.rig->plane, 0) == 1);
	}
	other = connect_again(client, &next);
	client_send(client, 'y');
	assert_int_equal(recv(other, &byte, 1, MSG_DONTWAIT), 1);
	assert_int_equal(byte, 'y');
	client_send(other, 'z');
	assert_int_equal(client_read(client), 'z');
	close(client);
	close(other);
	fast_free(scene.fast);
}

static void what_waits_of_a_connection_is_not_of_the_next(void **state)
{
	has_another_connection(state, true);
}

/* Also while the server of the first one has not looked yet. */
static void what_is_sent_is_of_the_next(void **state)
{
	has_another_connection(state, false);
}

/* ---- taken away ---- */

static void those_that_live_go_over_to_tcp(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct scene scene = begin(state, &any);
	struct hs_fast_counts counts;
	int fd;

	serve_pair(&scene.servers);
	fd = connect_in(&scene.group, &local);
	assert_int_equal(client_ask(fd), 'A');
	allow(scene.fast, scene.rig, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(client_ask(fd), 'A');
	counts = counts_of(scene.fast, scene.rig, 0);
	assert_int_equal(counts.why[HS_FAST_WHY_CLOSED], 2);
	assert_int_equal(counts.fast_bytes[HS_FAST_CLIENT], 1);
	assert_int_equal(counts.tcp_bytes[HS_FAST_CLIENT], 3);
	goes_by_tcp(&scene, &scene.group, PORT);
	/* and what went over does not come back */
	allow(scene.fast, scene.rig, 1);
	assert_int_equal(client_ask(fd), 'A');
	assert_int_equal(counts_of(scene.fast, scene.rig, 0).fast_bytes[HS_FAST_CLIENT], 1);
	close(fd);
	fast_free(scene.fast);
}

/* One connection, with so many bytes, of which this is the first. */
static void gets_all(struct server *server, const char *first, int bytes)
{
	char text[SERVER_TEXT_MAX];
	int read = 0;

	assert_int_equal(server_accept(server, text), 1);
	assert_string_equal(text, first);
	rig_until((read += server_read(server, 64)) >= bytes);
	assert_int_equal(read, bytes);
}

/* Beyond what there is room for a sentence says so, and those before stay. */
static void many_services_have_room(void **state)
{
	const uint32_t first = 1 << 20;
	struct fast_service service = {first, units, 1, ports, 1};
	struct fast *fast = open_fast();
	struct hs_fast_counts counts;
	struct problem problem = {0};
	int r;

	(void)state;
	/* the kernel puts memory for each CPU aside behind our back, some entries ahead: who asks
	 * for many at once may be told ENOMEM, and hsd then tries again with the rest of the
	 * service */
	do {
		rig_until((r = fast_allow(fast, &service, &problem)) != -ENOMEM);
		service.service_id += !r;
	} while (!r);
	assert_string_equal(problem.text, "too many services and units are on the fast path");
	assert_true(service.service_id - first > 500);
	assert_int_equal(fast_counts(fast, first, 0, &counts), 0);
	fast_free(fast);
}

/* What waits to be read is nowhere else. */
static void nothing_is_lost_with_the_pins(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct scene scene = begin(state, &any);
	int fd = connect_in(&scene.group, &local);

	for (unsigned i = 0; i < 3; i++)
		client_send(fd, 'x');
	assert_int_equal(counts_of(scene.fast, scene.rig, 0).fast_bytes[HS_FAST_CLIENT], 3);
	fast_free(scene.fast);
	assert_int_equal(fast_remove(plane_id(scene.rig->plane)), 0);
	assert_int_not_equal(access(HS_PIN_ROOT "/" HS_PIN_FAST, F_OK), 0);
	assert_int_equal(fast_attach(&scene.fast), -ENOENT);
	client_send(fd, 'y');
	gets_all(scene.servers.a, "x", 4);
	server_serve(scene.servers.a, true);
	assert_int_equal(client_ask(fd), 'A');
	close(fd);
}

/* Of each the kernel keeps a thousand times as much, and its buffer does not tell. */
static void small_messages_fill_no_memory(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct scene scene = begin(state, &any);
	int fd = connect_in(&scene.group, &local);
	struct hs_fast_counts counts;

	for (unsigned i = 0; i < 5000; i++)
		client_send(fd, 'x');
	counts = counts_of(scene.fast, scene.rig, 0);
	assert_int_equal(counts.why[HS_FAST_WHY_FULL], 1);
	assert_in_range(counts.fast_bytes[HS_FAST_CLIENT], 100, 4000);
	gets_all(scene.servers.a, "x", 5000);
	close(fd);
	fast_free(scene.fast);
}

static void another_build_takes_over(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct scene scene = begin(state, &any);
	_cleanup_(close_fdp) int build = -1;
	uint64_t other = 1;
	uint32_t zero = 0;
	int old, new;

	old = connect_in(&scene.group, &local);
	rig_until(counts_of(scene.fast, scene.rig, 0).begun == 1);
	client_send(old, 'x');
	assert_int_equal(pin_open(HS_PIN_ROOT "/" HS_PIN_FAST "/build", &build), 0);
	assert_int_equal(bpf_map_update_elem(build, &zero, &other, BPF_ANY), 0);
	fast_free(scene.fast);
	scene.fast = open_fast();
	serve_pair(&scene.servers);
	assert_int_equal(client_read(old), 'A');
	assert_int_equal(client_ask(old), 'A');
	new = connect_in(&scene.group, &local);
	rig_until(counts_of(scene.fast, scene.rig, 0).begun == 2);
	assert_int_equal(client_ask(new), 'A');
	assert_int_equal(counts_of(scene.fast, scene.rig, 0).fast_bytes[HS_FAST_CLIENT], 3);
	close(old);
	close(new);
	rig_until(counts_of(scene.fast, scene.rig, 0).ended == 2);
	fast_free(scene.fast);
}

/* ---- moving ---- */

/* It waits for accept(2) with bytes in its queue that never were in TCP's. */
static void a_connection_moves_with_its_bytes(void **state)
{
	struct address any = rig_any(PORT), local = rig_local(PORT);
	struct scene scene = begin(state, &any);
	int fd;

	case_needs(ABILITY_MIGRATION);
	fd = connect_in(&scene.group, &local);
	client_send(fd, 'x');
	client_send(fd, 'y');
	rig_until(rig_queued(scene.rig, 0) == 1);
	rig_flip(scene.rig, 1);
	server_kill(scene.servers.a);
	rig_until(rig_queued(scene.rig, 1) == 1);
	gets_all(scene.servers.b, "x", 2);
	server_serve(scene.servers.b, true);
	assert_int_equal(client_ask(fd), 'B');
	assert_int_equal(plane_fast_sent(scene.rig->plane, 0), 0);
	assert_int_equal(plane_fast_sent(scene.rig->plane, 1), 1);
	assert_int_equal(counts_of(scene.fast, scene.rig, 0).fast_bytes[HS_FAST_CLIENT], 3);
	close(fd);
	fast_free(scene.fast);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(over_ipv4),
		CASE(over_ipv6),
		CASE(over_ipv4_on_a_dual_listener),
		CASE(at_an_own_address),
		CASE(who_was_not_named_goes_by_tcp),
		CASE(same_addresses_are_not_the_same_connection),
		CASE(nginx_is_kept_off),
		CASE(what_waits_of_a_connection_is_not_of_the_next),
		CASE(what_is_sent_is_of_the_next),
		CASE(those_that_live_go_over_to_tcp),
		CASE(many_services_have_room),
		CASE(nothing_is_lost_with_the_pins),
		CASE(small_messages_fill_no_memory),
		CASE(another_build_takes_over),
		CASE(a_connection_moves_with_its_bytes),
	};

	return cases_run("fast", tests);
}
