// SPDX-License-Identifier: GPL-2.0-or-later
/* Self-test of the census: maps of its own, and one connection that is in them. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "accounting.skel.h"
#include "plane/bpf/census.h"
#include "plane/bpf/load.h"
#include "plane/selftest/selftest_checks.h"
#include "util/clock.h"
#include "util/macro.h"

#define SERVICE 1
#define SLOT	3

DEFINE_CLEANUP(struct accounting_bpf, accounting_bpf__destroy)
DEFINE_CLEANUP(struct census, census_free)

/* One end is as good as the other. */
static int connect_them(int listener, int client)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t size = sizeof(at);

	if (listener < 0 || client < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &size) < 0)
		return -errno;
	/* it has not been bound: any address, and a port of the kernel's choice */
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(client, (struct sockaddr *)&at, size) < 0 ? -errno : 0;
}

/* The accounting's maps; its program is loaded and attached to nothing. */
static int look(struct accounting_bpf *maps, struct place_census places[HS_PLACES_MAX],
		struct problem *problem)
{
	struct hs_tag tag = {
		.service_id = SERVICE, .slot = SLOT, .counted = 1, .begun_ns = now_coarse_nsec()};
	int tags = bpf_map__fd(maps->maps.hs_tags), r;
	_cleanup_(census_freep) struct census *census = NULL;
	_cleanup_(close_fdp) int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_(close_fdp) int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	r = connect_them(listener, client);
	if (!r && bpf_map_update_elem(tags, &client, &tag, BPF_ANY))
		r = -errno;
	if (!r)
		r = census_open(tags, bpf_map__fd(maps->maps.hs_moved), &census, problem);
	return r ? r : census_take(census, SERVICE, 0, places);
}

void selftest_census(struct ability_result *result)
{
	_cleanup_(accounting_bpf__destroyp) struct accounting_bpf *maps = accounting_bpf__open();
	struct place_census places[HS_PLACES_MAX] = {0};
	struct problem problem = {0};
	int r = maps ? load_object(maps->obj, "the maps", &problem) : -errno;

	if (r < 0) {
		selftest_set(result, ABILITY_UNKNOWN, "%s",
			     problem.text[0] ? problem.text : strerror(-r));
		return;
	}
	r = look(maps, places, &problem);
	if (r < 0)
		selftest_set(result, ABILITY_FAILS, "%s",
			     problem.text[0] ? problem.text : strerror(-r));
	else if (places[SLOT].connections != 1)
		selftest_set(result, ABILITY_FAILS, "a connection was not seen");
	else
		selftest_set(result, ABILITY_WORKS, NULL);
}
