// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What it costs to ask how many connections a slot has, with 50 and with 50 000 of them, and to ask
 * what they are doing. Beside it: the same question put to sock_diag(7), which must list them all.
 *
 * Both ends of the connections are in child processes, as many as the limit of open files asks for.
 * Exit status 77, and a line of text, when the machine has no room for them.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>

#include "../plane/client.h"
#include "bench.h"
#include "plane/kernel/diag.h"
#include "plane/plane_census.h"
#include "util/clock.h"

#define PORT	     8000
#define FEW	     50
#define MANY	     50000
#define READS	     2000
#define LISTS	     10
#define HOLDERS_MAX  64
#define MEMORY_BYTES (UINT64_C(1) << 30)
#define SKIP	     77

/* A child that has so many connections until its pipe is closed. */
struct holder {
	pid_t pid;
	int pipe;
};

struct bench {
	struct rig *rig;
	int listener;
	size_t per_holder;
	struct holder holders[HOLDERS_MAX];
	size_t n_holders;
	size_t n; /* connections */
};

static bool has_room(struct bench *bench)
{
	struct rlimit limit;
	struct sysinfo info;

	if (sysinfo(&info) < 0 || (info.freeram + info.bufferram) * info.mem_unit < MEMORY_BYTES) {
		printf("skipped: less than 1 GB of free memory\n");
		return false;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	/* two descriptors each; one source address has ports for some 50 000 */
	bench->per_holder = MIN(limit.rlim_max / 2, MANY) - 64;
	if (bench->per_holder * HOLDERS_MAX < MANY) {
		printf("skipped: a process may open %lu files only\n", limit.rlim_max);
		return false;
	}
	return true;
}

/* Slot 0 of the service is a socket of this process, put in place without adoption. */
static void listen_as_slot(struct bench *bench)
{
	struct address address = rig_local(PORT);
	struct hs_tag tag = {.service_id = plane_id(bench->rig->plane)};
	struct sockaddr_storage raw;
	socklen_t size = address_to_sockaddr(&address, &raw);
	struct listener *listener;
	uint64_t cookie;
	int one = 1;

	bench->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rig_check(setsockopt(bench->listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0);
	rig_check(bind(bench->listener, (struct sockaddr *)&raw, size) == 0);
	rig_check(listen(bench->listener, 128) == 0);
	rig_check(plane_listener_get(bench->rig->plane, &address, &listener, NULL) == 0);
	rig_check(listener_attach(listener, bench->listener) == 0);
	rig_check(accounting_tag(bench->rig->accounting, bench->listener, &tag) == 0);
	size = sizeof(cookie);
	rig_check(getsockopt(bench->listener, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0);
	rig_check(listener_put(listener, 0, bench->listener, cookie) == 0);
	rig_flip(bench->rig, 0);
}

/* Ends with a RST, as soon as the process does: 50 000 in TIME_WAIT would be in the way. */
static void connect_from(size_t host)
{
	struct address to = rig_local(PORT);
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK + host)};
	struct linger linger = {.l_onoff = 1};
	struct sockaddr_storage raw;
	socklen_t size = address_to_sockaddr(&to, &raw);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* the port is chosen at connect() */
	rig_check(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) == 0);
	rig_check(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
	rig_check(bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
	rig_check(connect(fd, (struct sockaddr *)&raw, size) == 0);
}

static void hold(const struct bench *bench, size_t n, int pipe)
{
	char byte = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < n; i++) {
		connect_from(1 + bench->n_holders);
		rig_check(accept(bench->listener, NULL, NULL) >= 0);
	}
	rig_check(write(pipe, &byte, 1) == 1);
	/* until the other end is closed */
	(void)!read(pipe, &byte, 1);
	_exit(0);
}

static void add_holder(struct bench *bench, size_t n)
{
	struct holder *holder = &bench->holders[bench->n_holders];
	int pair[2];
	char byte;

	rig_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	holder->pid = fork();
	rig_check(holder->pid >= 0);
	if (!holder->pid) {
		for (size_t i = 0; i < bench->n_holders; i++)
			close(bench->holders[i].pipe);
		close(pair[0]);
		hold(bench, n, pair[1]);
	}
	close(pair[1]);
	holder->pipe = pair[0];
	bench->n_holders++;
	bench->n += n;
	rig_check(read(holder->pipe, &byte, 1) == 1);
}

static void open_connections(struct bench *bench, size_t n)
{
	while (bench->n < n)
		add_holder(bench, MIN(n - bench->n, bench->per_holder));
}

static void close_connections(struct bench *bench)
{
	while (bench->n_holders > 0) {
		struct holder *holder = &bench->holders[--bench->n_holders];

		close(holder->pipe);
		rig_check(waitpid(holder->pid, NULL, 0) == holder->pid);
	}
	bench->n = 0;
	rig_until(rig_slot(bench->rig, 0).connections == 0);
}

static void check(const struct bench *bench, uint64_t counted, const char *how)
{
	if (counted != bench->n)
		rig_fail(__FILE__, __LINE__, "%s counts %lu connections instead of %zu", how,
			 counted, bench->n);
}

static void measure_counters(const struct bench *bench, struct samples *one, struct samples *all)
{
	for (unsigned i = 0; i < READS; i++) {
		struct slot_totals slot;
		struct plane_totals totals;
		uint64_t begun = now_nsec(), then;

		rig_check(plane_slot_totals(bench->rig->plane, 0, &slot) == 0);
		then = now_nsec();
		rig_check(plane_totals(bench->rig->plane, &totals) == 0);
		samples_add(all, now_nsec() - then);
		samples_add(one, then - begun);
		check(bench, slot.connections, "the accounting");
		check(bench, totals.slots[0].connections, "the accounting");
	}
}

static int count_tagged(const struct connection *connection, void *userdata)
{
	*(uint64_t *)userdata += connection->tag.service_id != 0;
	return 0;
}

static void measure_list(const struct bench *bench, struct samples *list)
{
	for (unsigned i = 0; i < LISTS; i++) {
		uint64_t n = 0, begun = now_nsec();

		rig_check(diag_connections(NULL, PORT, accounting_tags_fd(bench->rig->accounting),
					   count_tagged, &n) == 0);
		samples_add(list, now_nsec() - begun);
		check(bench, n, "sock_diag");
	}
}

/* Loads what the census needs, which is paid once. Some clouds' kernels refuse iterators over maps.
 */
static bool may_iterate(const struct bench *bench)
{
	struct place_census places[HS_PLACES_MAX];
	struct problem why = {0};

	if (plane_census(bench->rig->plane, 0, places, &why) == 0)
		return true;
	printf("{\"row\":\"census\",\"note\":\"not measured: iterators over maps are refused "
	       "here\"}\n");
	fprintf(stderr, "census: %s\n", why.text);
	return false;
}

static void measure_census(const struct bench *bench, struct samples *census)
{
	for (unsigned i = 0; i < LISTS; i++) {
		struct place_census places[HS_PLACES_MAX];
		uint64_t begun = now_nsec();

		rig_check(plane_census(bench->rig->plane, 0, places, NULL) == 0);
		samples_add(census, (now_nsec() - begun) / 1e6);
		check(bench, places[0].connections, "the census");
	}
}

static void measure(struct bench *bench)
{
	enum { ONE, ALL, CENSUS, LIST, KINDS };
	struct samples samples[2][KINDS] = {
		{{.name = "one slot, 50 connections"},
		 {.name = "whole service, 50 connections"},
		 {.name = "50 connections"},
		 {.name = "sock_diag, 50 connections"}},
		{{.name = "one slot, 50000 connections"},
		 {.name = "whole service, 50000 connections"},
		 {.name = "50000 connections"},
		 {.name = "sock_diag, 50000 connections"}},
	};
	bool iterates = may_iterate(bench);

	for (unsigned turn = 0; turn < 4; turn++) {
		struct samples *s = samples[turn % 2];

		open_connections(bench, turn % 2 ? MANY : FEW);
		measure_counters(bench, &s[ONE], &s[ALL]);
		if (iterates)
			measure_census(bench, &s[CENSUS]);
		measure_list(bench, &s[LIST]);
		close_connections(bench);
	}
	for (unsigned i = 0; i < 2 * KINDS; i++) {
		struct samples *s = &samples[i / KINDS][i % KINDS];

		s->row = i % KINDS == CENSUS ? "census" : "counts";
		s->unit = i % KINDS == CENSUS ? "ms" : "ns";
		if (s->n)
			samples_print(s);
	}
}

static int run(void *userdata)
{
	static struct bench bench;

	(void)userdata;
	if (!has_room(&bench))
		return SKIP;
	bench.rig = rig_begin();
	rig_planes(bench.rig);
	listen_as_slot(&bench);
	measure(&bench);
	rig_end(bench.rig);
	return 0;
}

int main(void)
{
	return rig_keep(run, NULL);
}
