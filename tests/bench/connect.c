// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * New connections per second with hotstandby in place, and with plain SO_REUSEPORT and nothing
 * else: the same two server processes, the same clients, in turns. Between the two: the selector
 * without the accounting.
 *
 * Both servers are shards of one slot, so that both share the load in either case.
 */
#include <fcntl.h>

#include "../plane/server.h"
#include "bench.h"
#include "plane/scan.h"

#define PORT	    8000
#define ROUNDS	    30
#define PARALLEL    "32"
#define CLIENTS_MAX 64
#define WINDOW	    "250ms"

enum arm { PLAIN, SELECTOR, WHOLE, ARMS };

static void enable(struct rig *rig, enum arm arm)
{
	struct problem problem = {0};

	if (arm == WHOLE)
		rig_planes(rig);
	else if (plane_create("web", NULL, &rig->plane, &problem) < 0)
		rig_fail(__FILE__, __LINE__, "no plane: %s", problem.text);
	for (size_t i = 0; i < rig->n_servers; i++)
		rig_adopt(rig, rig->servers[i]);
}

static void detach(const struct server *server)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	size_t n;
	int fd;

	rig_check(scan_cgroup(server->cgroup, &held, &n) == 0);
	for (size_t i = 0; i < n; i++) {
		rig_check(scan_borrow(&held[i], &fd) == 0);
		rig_check(listener_detach(fd) == 0);
		close(fd);
	}
}

static void disable(struct rig *rig)
{
	for (size_t i = 0; i < rig->n_servers; i++)
		detach(rig->servers[i]);
	rig_check(plane_destroy(rig->plane) == 0);
	rig->plane = plane_free(rig->plane);
	if (!rig->accounting)
		return;
	rig->accounting = accounting_free(rig->accounting);
	rig_check(accounting_destroy() == 0);
}

/* As many clients as CPUs: none is to be idle, or only the clients' half of the cost would show. */
static double rate(void)
{
	struct load loads[CLIENTS_MAX];
	long clients = MIN(sysconf(_SC_NPROCESSORS_ONLN), CLIENTS_MAX);
	double connections = 0;

	for (long i = 0; i < clients; i++)
		loads[i] = load_start("8000", PARALLEL, WINDOW);
	for (long i = 0; i < clients; i++) {
		struct load_result result = load_finish(&loads[i]);

		if (result.refused + result.reset + result.late)
			rig_fail(__FILE__, __LINE__, "requests were lost without reason");
		connections += result.answered / result.seconds;
	}
	return connections;
}

static double measure(struct rig *rig, enum arm arm)
{
	double connections;

	if (arm == PLAIN)
		return rate();
	enable(rig, arm);
	connections = rate();
	if (!rig_slot(rig, 0).chosen)
		rig_fail(__FILE__, __LINE__, "the selector was not asked");
	disable(rig);
	return connections;
}

/* Each arm as often as the others, and in all orders. */
static void take_turns(struct rig *rig, struct samples rates[ARMS])
{
	rate(); /* warm */
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned turn = 0; turn < ARMS; turn++) {
			enum arm arm = (round % 2 ? ARMS - 1 - turn : turn + round / 2) % ARMS;

			samples_add(&rates[arm], measure(rig, arm));
		}
}

static void start_servers(struct rig *rig)
{
	struct address address = rig_local(PORT);

	for (unsigned i = 0; i < 2; i++) {
		struct server *server = server_start(rig, 0);

		rig_check(server_listen(server, &address, 0) >= 0);
		server_serve(server, true);
	}
}

static int run(void *userdata)
{
	struct samples rates[ARMS] = {
		[PLAIN] = {.row = "connect", .name = "plain SO_REUSEPORT", .unit = "/s"},
		[SELECTOR] = {.row = "connect", .name = "selector alone", .unit = "/s"},
		[WHOLE] = {.row = "connect", .name = "selector and accounting", .unit = "/s"},
	};
	struct rig *rig = rig_begin();

	(void)userdata;
	start_servers(rig);
	take_turns(rig, rates);
	for (unsigned arm = 0; arm < ARMS; arm++)
		samples_print(&rates[arm]);
	rig_end(rig);
	return 0;
}

int main(void)
{
	return rig_keep(run, NULL);
}
