// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/peers.h"

#include <string.h>

#include "plane/kernel/cgroup.h"
#include "plane/kernel/diag.h"
#include "util/macro.h"

/* Control groups that have been looked up: servers nest few. */
#define KNOWN_MAX 64

struct count {
	const struct plane *plane;
	uint64_t *peers, total;
	struct {
		uint64_t cgroup;
		unsigned slot; /* HS_SLOT_NONE = none of them */
	} known[KNOWN_MAX];
	size_t n_known;
};

static unsigned find_slot(const struct plane *plane, uint64_t cgroup)
{
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (plane_cgroup(plane, slot)[0] &&
		    cgroup_contains(plane_cgroup(plane, slot), cgroup))
			return slot;
	return HS_SLOT_NONE;
}

static unsigned slot_of(struct count *count, uint64_t cgroup)
{
	unsigned slot;

	for (size_t i = 0; i < count->n_known; i++)
		if (count->known[i].cgroup == cgroup)
			return count->known[i].slot;
	slot = find_slot(count->plane, cgroup);
	if (count->n_known < KNOWN_MAX) {
		count->known[count->n_known].cgroup = cgroup;
		count->known[count->n_known++].slot = slot;
	}
	return slot;
}

static int add(const struct connection *connection, void *userdata)
{
	struct count *count = userdata;
	unsigned slot = slot_of(count, connection->cgroup_id);

	if (slot < HS_SLOTS_MAX)
		count->peers[slot]++;
	return ++count->total >= PEERS_MAX;
}

int plane_peers(const struct plane *plane, uint64_t peers[HS_SLOTS_MAX])
{
	struct count count = {.plane = plane, .peers = peers};
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	bool any = false;
	int r = 0;

	memset(peers, 0, HS_SLOTS_MAX * sizeof(*peers));
	for (size_t i = 0; !r && i < n; i++) {
		const struct listener *listener = listeners[i];

		if (!listener->address.udp || !listener_is_first(listeners, i))
			continue;
		any = true;
		/* a namespace that is not known any more, or not yet */
		if (listener->address.netns && listener->netns.fd < 0)
			r = -ENOENT;
		else
			r = diag_connected(&listener->netns, listener->address.port, add, &count);
	}
	return r < 0 ? r : any;
}

uint64_t plane_remaining(const struct plane *plane, unsigned slot)
{
	struct slot_flows flows[HS_SLOTS_MAX];
	uint64_t peers[HS_SLOTS_MAX];
	struct slot_totals totals = {0};

	if (slot >= HS_SLOTS_MAX)
		return 0;
	plane_slot_totals(plane, slot, &totals);
	plane_flows(plane, flows);
	plane_peers(plane, peers);
	/* one that has a socket is remembered for a while as well */
	return totals.connections + MAX(flows[slot].n, peers[slot]);
}
