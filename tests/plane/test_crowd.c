// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sockets of others, more than anybody has servers for: what is done with those of an instance does
 * not wait for them. CROWD=200000 has so many of them, and the time that a bounce takes is printed.
 */
#include "cases.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "plane/act/served.h"
#include "plane/kernel/cgroup.h"

#define PORT	   8080
#define CLIENTS	   20
#define CROWD	   40000
#define CROWD_PORT 2000 /* and the thousand that follow */

/* Of processes that have as many each as they may. */
static struct crowd {
	pid_t pids[64];
	unsigned n_pids;
} crowd;

static size_t crowd_size(void)
{
	const char *text = getenv("CROWD");

	return text ? strtoul(text, NULL, 10) : CROWD;
}

/* Every fourth is of UDP. */
static bool crowd_open(size_t number)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons(CROWD_PORT + number % 1000),
		.sin_addr.s_addr = htonl(0x7f010000 + number / 1000),
	};
	bool udp = number % 4 == 3;
	int fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

	return fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at)) && (udp || !listen(fd, 1));
}

static void crowd_run(size_t from, size_t to, int told)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(told, 3);
	close_range(4, ~0U, 0);
	while (from < to && crowd_open(from))
		from++;
	(void)!write(3, "", from == to);
	close(3);
	while (true)
		pause();
}

static void crowd_join(size_t from, size_t to)
{
	int told[2];
	char byte;
	pid_t pid;

	assert_true(crowd.n_pids < ARRAY_SIZE(crowd.pids));
	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	pid = fork();
	if (!pid)
		crowd_run(from, to, told[1]);
	assert_true(pid > 0);
	crowd.pids[crowd.n_pids++] = pid;
	close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	close(told[0]);
}

static void crowd_leave(void)
{
	for (unsigned i = 0; i < crowd.n_pids; i++)
		kill(crowd.pids[i], SIGKILL);
	while (crowd.n_pids > 0)
		waitpid(crowd.pids[--crowd.n_pids], NULL, 0);
}

static void crowd_gather(size_t n)
{
	struct rlimit limit;
	size_t each;

	/* of a test that has failed */
	crowd_leave();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	each = limit.rlim_cur - 16;
	for (size_t from = 0; from < n; from += each)
		crowd_join(from, MIN(n, from + each));
}

/* ---- a bounce ---- */

static uint64_t time_bounce(struct rig *rig, const struct server *server, const struct address *at)
{
	int fds[CLIENTS];
	uint64_t begun, took;

	rig_flip(rig, 0);
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = client_connect(at);
		assert_true(fds[i] >= 0);
	}
	rig_flip(rig, 1);
	begun = now_usec();
	assert_int_equal(bounce(rig->plane, 0, server->cgroup, true), CLIENTS);
	took = now_usec() - begun;
	for (int i = 0; i < CLIENTS; i++)
		client_reset(fds[i]);
	return took;
}

/* What it takes to be told of them. */
static uint64_t time_list(void)
{
	_cleanup_(freep) struct listening_socket *sockets = NULL;
	uint64_t begun = now_usec(), none = 0;
	size_t n;

	assert_int_equal(diag_listening_by_cookie(NULL, &none, 1, &sockets, &n), 0);
	assert_int_equal(n, 0);
	return now_usec() - begun;
}

static void a_bounce_does_not_wait_for_sockets_of_others(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT);
	struct pair pair = start_pair(rig, &at);
	uint64_t list = UINT64_MAX, took = UINT64_MAX;

	crowd_gather(crowd_size());
	for (int i = 0; i < 5; i++) {
		list = MIN(list, time_list());
		took = MIN(took, time_bounce(rig, pair.a, &at));
	}
	print_message("# %zu sockets of others: a bounce in %llu us, a list of them in %llu us\n",
		      crowd_size(), (unsigned long long)took, (unsigned long long)list);
	assert_true(took < list / 3);
	crowd_leave();
}

/* ---- adoption ---- */

/* In no control group of the unit's. */
static struct server *start_with_passed_in(struct rig *rig, unsigned slot, const struct address *at)
{
	struct sockaddr_storage address;
	socklen_t size = address_to_sockaddr(at, &address);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct server *server;

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 100), 0);
	server = server_start_holding(rig, slot, fd);
	close(fd);
	return server;
}

static struct adoption *begin(struct rig *rig, const struct server *server)
{
	struct adopt_scope scope = {.cgroup = server->cgroup, .slot = server->slot};
	struct adoption *adoption;
	struct problem problem;

	assert_int_equal(adoption_begin(rig->plane, &scope, &adoption, &problem), 0);
	return adoption;
}

static void assert_finds(struct rig *rig, const struct server *server, size_t n, bool all)
{
	struct adoption *adoption = begin(rig, server);
	struct problem why;

	assert_int_equal(adoption->n, n);
	assert_int_equal(adoption->adopted, n);
	assert_int_equal(!strstr(adoption->blind.text, "sockets listen on this machine"), all);
	adoption_explain(adoption, &why);
	assert_int_equal(!!strstr(why.text, "too many to look through"), !all && !n);
	adoption_free(adoption);
}

static void of_too_many_sockets_its_own_are_adopted(void **state)
{
	struct rig *rig = *state;
	struct address known = rig_any(PORT), unknown = rig_any(PORT + 1), own = rig_any(PORT + 2),
		       own6 = rig_dual(PORT + 3), datagrams = rig_any(PORT + 4);
	struct server *a = start_with_passed_in(rig, 0, &known), *b;

	assert_int_equal(rig_adopt(rig, a), 1);
	crowd_gather(DIAG_LISTENING_MAX + 1);
	datagrams.udp = true;
	b = start_with_passed_in(rig, 1, &unknown);
	assert_int_equal(server_listen(a, &own, 0), 1);
	assert_int_equal(server_listen(a, &own6, 0), 2);
	assert_int_equal(server_listen(a, &datagrams, 0), 3);
	assert_finds(rig, a, 4, false);
	assert_finds(rig, b, 0, false);
	/* also those of groups below */
	snprintf(a->cgroup, sizeof(a->cgroup), "%s", rig->group);
	assert_finds(rig, a, 4, false);
	crowd_leave();
	assert_finds(rig, b, 1, true);
}

/* ---- what is listed ---- */

#define SOME 60

static struct address some_address(unsigned number)
{
	struct address at = {.family = AF_INET, .port = PORT + number % 12, .ip = {127, 0, 0, 1}};

	if (number / 12 % 2) {
		at = rig_local6(at.port);
		at.ip[15] = 1;
	}
	at.udp = number / 24 % 2;
	/* several of IPv4 have one port */
	if (number >= 48)
		at.ip[3] = 2;
	return at;
}

static bool is_on(const struct listening_socket *socket, const struct diag_wanted *wanted)
{
	for (size_t i = 0; i < wanted->n_addresses; i++) {
		const struct address *at = &wanted->addresses[i];

		if (wanted->by_port
			    ? at->port == socket->address.port && at->udp == socket->address.udp
			    : address_equal(at, &socket->address))
			return true;
	}
	return false;
}

static bool is_listed(const struct listening_socket *sockets, size_t n, uint64_t cookie)
{
	for (size_t i = 0; i < n; i++)
		if (sockets[i].cookie == cookie)
			return true;
	return false;
}

static void assert_listed(const struct diag_wanted *wanted)
{
	_cleanup_(freep) struct listening_socket *all = NULL, *some = NULL;
	size_t n_all, n_some, expected = 0;

	assert_int_equal(diag_listening(NULL, true, &all, &n_all), 0);
	assert_int_equal(diag_listening_wanted(NULL, true, wanted, &some, &n_some), 0);
	for (size_t i = 0; i < n_all; i++) {
		bool on = is_on(&all[i], wanted);

		assert_int_equal(is_listed(some, n_some, all[i].cookie), on);
		expected += on;
	}
	assert_int_equal(n_some, expected);
}

/* Whichever of them are wanted. */
static void what_is_wanted_is_listed_and_nothing_else(void **state)
{
	struct address addresses[SOME];
	struct diag_wanted wanted = {.addresses = addresses};
	struct server *a = server_start(*state, 0);
	unsigned seed = 1;

	for (unsigned i = 0; i < SOME; i++) {
		struct address at = some_address(i);

		assert_true(server_listen(a, &at, 0) >= 0);
	}
	for (unsigned round = 0; round < 200; round++) {
		wanted.by_port = round % 3 == 2;
		wanted.n_addresses = 0;
		for (unsigned i = 0; i < SOME; i++) {
			seed = seed * 1103515245 + 12345;
			if ((seed >> 16) % 200 < round)
				addresses[wanted.n_addresses++] = some_address(i);
		}
		assert_listed(&wanted);
	}
}

static void what_a_control_group_has_made_is_listed(void **state)
{
	struct rig *rig = *state;
	struct address at = rig_any(PORT), other = rig_any(PORT + 1);
	struct server *a = server_start(rig, 0), *b = server_start(rig, 1);
	_cleanup_(freep) struct listening_socket *first = NULL, *second = NULL;
	uint64_t ids[8];
	struct diag_wanted wanted = {.cgroups = ids};
	size_t n;

	server_listen(a, &at, 0);
	server_listen(b, &other, 0);
	assert_int_equal(cgroup_ids(b->cgroup, ids, ARRAY_SIZE(ids), &wanted.n_cgroups), 0);
	assert_int_equal(wanted.n_cgroups, 1);
	assert_int_equal(diag_listening_wanted(NULL, true, &wanted, &first, &n), 0);
	assert_int_equal(n, 1);
	assert_true(address_equal(&first->address, &other));
	/* or what is on an address */
	wanted.addresses = &at;
	wanted.n_addresses = 1;
	assert_int_equal(diag_listening_wanted(NULL, true, &wanted, &second, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(cgroup_ids(rig->group, ids, 2, &n), -E2BIG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_bounce_does_not_wait_for_sockets_of_others),
		CASE(of_too_many_sockets_its_own_are_adopted),
		CASE(what_is_wanted_is_listed_and_nothing_else),
		CASE(what_a_control_group_has_made_is_listed),
	};

	return cases_run("crowd", tests);
}
