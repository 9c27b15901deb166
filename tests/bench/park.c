// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long connections that wait in the park are on their way when a slot has come: from its
 * adoption until the last of them is in the slot's accept queue. As hsd does it: a new park is
 * opened, handshakes settle, the old one is shut down.
 */
#include <sys/resource.h>
#include <time.h>

#include "../plane/client.h"
#include "../plane/server.h"
#include "bench.h"
#include "plane/act/park.h"
#include "plane/borrow/scan.h"

#define PORT 8000
#define MANY 4000
#define RUNS 20

static int clients[MANY];

static int first_park(struct rig *rig, const struct server *server, struct listener *listener)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	_cleanup_(close_fdp) int model = -1;
	size_t n;
	int park = -1;

	rig_check(scan_cgroup(server->cgroup, &held, &n) == 0 && n == 1);
	rig_check(scan_borrow(&held[0], &model) == 0);
	rig_check(park_open(rig->plane, listener, model, 0, &park) == 0);
	return park;
}

static void connect_all(const struct address *at, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rig_check((clients[i] = client_connect(at)) >= 0);
}

static void reset_all(struct server *server, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		client_reset(clients[i]);
	server_accept(server, NULL);
	server_hang_up(server, true);
}

struct figures {
	struct samples whole, move, cpu;
};

static double cpu_ms(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
	return spent.tv_sec * 1e3 + spent.tv_nsec / 1e6;
}

static int hand_over(struct rig *rig, struct listener *listener, int park, struct figures *figures)
{
	uint64_t begun = now_nsec(), settled;
	double cpu;
	int next, moved;

	rig_check(park_open(rig->plane, listener, park, 0, &next) == 0);
	nanosleep(&(struct timespec) {.tv_nsec = PARK_SETTLE_USEC * 1000}, NULL);
	settled = now_nsec();
	cpu = cpu_ms();
	moved = park_close(listener, park);
	samples_add(&figures->cpu, cpu_ms() - cpu);
	samples_add(&figures->move, (now_nsec() - settled) / 1e6);
	samples_add(&figures->whole, (now_nsec() - begun) / 1e6);
	rig_check(moved >= 0);
	close(park);
	return next;
}

static void measure(unsigned n, struct figures *figures)
{
	struct rig *rig = rig_begin();
	struct address at = {.family = AF_INET, .port = PORT};
	struct server *server = server_start(rig, 0);
	struct listener *listener;
	int park;

	rig_planes(rig);
	rig_check(server_listen(server, &at, 0) == 0 && rig_adopt(rig, server) == 1);
	listener = plane_find(rig->plane, &at);
	park = first_park(rig, server, listener);
	for (unsigned run = 0; run < RUNS; run++) {
		server_close(server, 0);
		connect_all(&at, n);
		rig_check(park_waiting(park) == (int)n);
		rig_check(server_listen(server, &at, 0) == 0 && rig_adopt(rig, server) == 1);
		park = hand_over(rig, listener, park, figures);
		rig_check(rig_queued(rig, 0) == n);
		reset_all(server, n);
	}
	close(park);
	samples_print(&figures->whole);
	samples_print(&figures->move);
	samples_print(&figures->cpu);
	rig_end(rig);
}

static int run(void *userdata)
{
	struct rlimit limit = {4 * MANY, 4 * MANY};

	(void)userdata;
	rig_check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	measure(MANY, &(struct figures) {
			      .whole = {"park", "4000 wait, handed over", "ms", NULL, 0, 0},
			      .move = {"park", "4000 wait, the kernel's part", "ms", NULL, 0, 0},
			      .cpu = {"park", "4000 wait, its CPU time", "ms", NULL, 0, 0}});
	measure(1,
		&(struct figures) {.whole = {"park", "1 waits, handed over", "ms", NULL, 0, 0},
				   .move = {"park", "1 waits, the kernel's part", "ms", NULL, 0, 0},
				   .cpu = {"park", "1 waits, its CPU time", "ms", NULL, 0, 0}});
	return 0;
}

int main(void)
{
	return rig_keep(run, NULL);
}
