// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * New connections per second with everything of hotstandby in place (selector and accounting), and
 * with plain SO_REUSEPORT and nothing else: the same two server processes, the same client, in
 * turns A B B A.
 *
 * Both servers are shards of one slot, so that both share the load in either case.
 */
#include <fcntl.h>

#include "../plane/server.h"
#include "bench.h"
#include "plane/scan.h"

#define PORT	 8000
#define PAIRS	 16
#define PARALLEL "32"
#define WINDOW	 "500ms"

static void enable(struct rig *rig)
{
	rig_planes(rig);
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
	rig->accounting = accounting_free(rig->accounting);
	rig_check(accounting_destroy() == 0);
}

static double rate(void)
{
	struct load load = load_start("8000", PARALLEL, WINDOW);
	struct load_result result = load_finish(&load);

	if (result.refused + result.reset + result.late)
		rig_fail(__FILE__, __LINE__, "requests were lost without reason");
	return result.answered / result.seconds;
}

static double rate_with(struct rig *rig)
{
	double with;

	enable(rig);
	with = rate();
	if (!rig_slot(rig, 0).chosen)
		rig_fail(__FILE__, __LINE__, "the selector was not asked");
	disable(rig);
	return with;
}

static int run(void *userdata)
{
	struct samples with = {.row = "connect", .name = "hotstandby", .unit = "/s"};
	struct samples without = {.row = "connect", .name = "plain SO_REUSEPORT", .unit = "/s"};
	struct samples ratio = {.row = "connect", .name = "ratio", .unit = ""};
	struct address address = rig_local(PORT);
	struct rig *rig = rig_begin();

	(void)userdata;
	for (unsigned i = 0; i < 2; i++) {
		struct server *server = server_start(rig, 0);

		rig_check(server_listen(server, &address, 0) >= 0);
		server_serve(server, true);
	}
	rate();
	for (unsigned i = 0; i < PAIRS; i++) {
		if (i % 2)
			samples_add(&without, rate());
		samples_add(&with, rate_with(rig));
		if (i % 2 == 0)
			samples_add(&without, rate());
		samples_add(&ratio, with.values[i] / without.values[i]);
	}
	samples_print(&with);
	samples_print(&without);
	samples_print(&ratio);
	rig_end(rig);
	return 0;
}

int main(void)
{
	return rig_keep(run, NULL);
}
