// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/plane_census.h"

#include <string.h>
#include <sys/stat.h>

#include "plane/bpf/accounting.h"
#include "plane/fast/fast.h"
#include "plane/fast/fast_times.h"
#include "plane/plane_front.h"
#include "util/clock.h"
#include "util/macro.h"

#define BTF "/sys/kernel/btf/vmlinux"

DEFINE_CLEANUP(struct fast_times, fast_times_free)

/* From the first question on. */
static int open_once(struct accounting *accounting, struct census **ret_census,
		     struct problem *problem)
{
	struct census **census = accounting_census(accounting);
	int r = 0;

	if (!*census)
		r = census_open(accounting_tags_fd(accounting), accounting_moved_fd(accounting),
				census, problem);
	*ret_census = *census;
	return r;
}

static bool has_btf(void)
{
	struct stat st;

	return !stat(BTF, &st) && st.st_size;
}

/* ---- pairs of the fast path: what the census says of them is what TCP knows ---- */

struct recount {
	struct accounting *accounting;
	const struct fast_times *times;
	uint64_t idle_usec;
	struct place_census *places;
	uint64_t idlest_usec[HS_PLACES_MAX];
};

static uint64_t idle_of(const struct connection *connection)
{
	return MIN(connection->received_ms, connection->sent_ms) * USEC_PER_MSEC;
}

static int recount(const struct connection *connection, void *userdata)
{
	struct recount *all = userdata;
	struct connection true_one = *connection;
	unsigned place = accounting_slot_of(all->accounting, connection->cookie, &connection->tag);

	if (place >= HS_PLACES_MAX)
		return 0;
	fast_times_correct(all->times, &true_one);
	if (idle_of(connection) >= all->idle_usec && idle_of(&true_one) < all->idle_usec &&
	    all->places[place].idle)
		all->places[place].idle--;
	all->idlest_usec[place] = MAX(all->idlest_usec[place], idle_of(&true_one));
	return 0;
}

static int correct(const struct plane *plane, struct census *census, uint64_t idle_usec,
		   struct place_census places[HS_PLACES_MAX])
{
	_cleanup_(fast_times_freep) struct fast_times *times = NULL;
	struct recount all = {plane_accounting(plane), NULL, idle_usec, places, {0}};
	int r = fast_times_take(plane_id(plane), &times);

	if (r || !times)
		return r;
	all.times = times;
	r = census_list(census, plane_id(plane), recount, &all);
	for (unsigned i = 0; !r && i < HS_PLACES_MAX; i++)
		places[i].idlest_usec = MIN(places[i].idlest_usec, all.idlest_usec[i]);
	return r;
}

int plane_census(const struct plane *plane, uint64_t idle_usec,
		 struct place_census ret_places[HS_PLACES_MAX], struct problem *problem)
{
	struct accounting *accounting = plane_accounting(plane);
	struct problem reason = {0};
	struct census *census;
	int r;

	if (plane_is_front(plane))
		return plane_front_census(plane, idle_usec, ret_places, problem);
	if (!accounting)
		return problem_set(problem, -EOPNOTSUPP,
				   "connections are not counted; start hsd: systemctl start hsd");
	r = open_once(accounting, &census, &reason);
	if (!r)
		r = census_take(census, plane_id(plane), idle_usec, ret_places);
	if (!r)
		r = correct(plane, census, idle_usec, ret_places);
	if (r < 0)
		return problem_set(
			problem, r == -ENOMEM ? r : -EOPNOTSUPP,
			"what connections are doing cannot be told: %s%s",
			reason.text[0] ? reason.text : strerror(-r),
			has_btf() ? "" : "; the kernel has to describe its structures, see " BTF);
	return 0;
}

/* What sock_diag tells of a port. */
struct port {
	const struct plane *plane;
	uint32_t netns;
	int (*each)(const struct connection *connection, void *userdata);
	void *userdata;
};

static int on_connection(const struct connection *connection, void *userdata)
{
	const struct port *port = userdata;
	struct connection there = *connection;

	if (connection->tag.service_id != plane_id(port->plane))
		return 0;
	there.local.netns = there.peer.netns = port->netns;
	return port->each(&there, port->userdata);
}

/* Several listeners may share a port and a namespace. */
static bool is_first(struct listener *const *listeners, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!listeners[k]->address.udp &&
		    listeners[k]->address.port == listeners[i]->address.port &&
		    listeners[k]->address.netns == listeners[i]->address.netns)
			return false;
	return !listeners[i]->address.netns || listeners[i]->netns.fd >= 0;
}

static int each_of_ports(const struct plane *plane, struct port *port)
{
	int tags_fd = accounting_tags_fd(plane_accounting(plane)), r = 0;
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; !r && i < n; i++) {
		port->netns = listeners[i]->address.netns;
		if (!listeners[i]->address.udp && is_first(listeners, i))
			r = diag_connections(&listeners[i]->netns, listeners[i]->address.port,
					     tags_fd, on_connection, port);
	}
	return r;
}

struct corrected {
	const struct fast_times *times;
	int (*each)(const struct connection *connection, void *userdata);
	void *userdata;
};

static int each_corrected(const struct connection *connection, void *userdata)
{
	const struct corrected *corrected = userdata;
	struct connection true_one = *connection;

	fast_times_correct(corrected->times, &true_one);
	return corrected->each(&true_one, corrected->userdata);
}

int plane_each_connection(const struct plane *plane,
			  int (*each)(const struct connection *connection, void *userdata),
			  void *userdata)
{
	_cleanup_(fast_times_freep) struct fast_times *times = NULL;
	struct corrected corrected = {.each = each, .userdata = userdata};
	struct port port = {.plane = plane, .each = each_corrected, .userdata = &corrected};
	struct problem reason;
	struct census *census;

	if (plane_is_front(plane))
		return plane_front_each(plane, each, userdata);
	if (!plane_accounting(plane))
		return -EOPNOTSUPP;
	/* without it they are told as TCP has them */
	(void)fast_times_take(plane_id(plane), &times);
	corrected.times = times;
	if (open_once(plane_accounting(plane), &census, &reason) < 0)
		return each_of_ports(plane, &port);
	return census_list(census, plane_id(plane), each_corrected, &corrected);
}

/* ---- what is sent the fast way ---- */

struct sent {
	const struct accounting *accounting;
	unsigned slot;
	uint64_t bytes;
};

static int add_sent(const struct hs_fast_pair *pair, void *userdata)
{
	const struct hs_tag born = {.service_id = pair->service_id, .slot = (uint16_t)pair->slot};
	struct sent *sent = userdata;

	if (accounting_slot_of(sent->accounting, pair->server_cookie, &born) == sent->slot)
		sent->bytes += pair->directions[HS_FAST_SERVER].fast_bytes;
	return 0;
}

uint64_t plane_fast_sent(const struct plane *plane, unsigned slot)
{
	struct sent sent = {plane_accounting(plane), slot, 0};
	struct fast *fast;

	if (!sent.accounting || fast_attach(&fast))
		return 0;
	(void)fast_each_pair(fast, plane_id(plane), add_sent, &sent);
	fast_free(fast);
	return sent.bytes;
}
