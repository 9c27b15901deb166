// SPDX-License-Identifier: GPL-2.0-or-later
/* The ways to the hosts, as the kernel knows them, and as the program goes by them. */
#include <errno.h>
#include <string.h>

#include "plane/front/front.h"
#include "plane/front/front_state.h"
#include "util/macro.h"

/* As the program has it: byte 0 is the lowest. */
static uint64_t mac_number(const uint8_t mac[6])
{
	uint64_t number = 0;

	for (unsigned i = 6; i-- > 0;)
		number = number << 8 | mac[i];
	return number;
}

struct way {
	uint32_t ifindex, mtu;
	uint16_t vlan;
	uint64_t own_mac, next_mac;
	uint8_t outer[16];
	bool reached;
};

static void set_flag(struct hs_front_host *host, uint32_t flag, bool on)
{
	if (on)
		__atomic_or_fetch(&host->flags, flag, __ATOMIC_SEQ_CST);
	else
		__atomic_and_fetch(&host->flags, ~flag, __ATOMIC_SEQ_CST);
}

/* The program takes the rest for what belongs to the MAC address: so that is away while it
 * changes. */
static void store_way(struct hs_front_host *host, const struct way *way)
{
	bool same = host->ifindex == way->ifindex && host->vlan == way->vlan &&
		    host->own_mac == way->own_mac && !memcmp(host->outer, way->outer, 16);

	if (!same) {
		__atomic_store_n(&host->next_mac, 0, __ATOMIC_SEQ_CST);
		host->ifindex = way->ifindex;
		host->vlan = way->vlan;
		host->own_mac = way->own_mac;
		memcpy(host->outer, way->outer, sizeof(host->outer));
	}
	__atomic_store_n(&host->mtu, way->mtu, __ATOMIC_SEQ_CST);
	__atomic_store_n(&host->next_mac, way->next_mac, __ATOMIC_SEQ_CST);
	set_flag(host, HS_FRONT_REACHED, way->reached);
}

/* What is on a VLAN of the front's device goes out by that device, with a tag. */
static int describe_device(const struct front *front, const struct route *route, struct way *way)
{
	char name[IFNAMSIZ];
	struct device_facts facts;
	int r = if_indextoname(route->ifindex, name) ? device_ask(name, &facts) : -ENODEV;

	if (r < 0)
		return r;
	way->ifindex = route->ifindex;
	way->own_mac = mac_number(facts.mac);
	if (*facts.lower && !strcmp(facts.lower, (const char *)front->shared->device)) {
		way->ifindex = if_nametoindex(facts.lower);
		way->vlan = facts.vlan;
	}
	return 0;
}

/* A neighbour that is not known any more keeps its MAC address until another is known: what is sent
 * there is lost at worst, and without it would be in any case. */
static int follow(const struct front *front, struct hs_front_host *host)
{
	struct way way = {.next_mac = host->next_mac};
	struct neighbour neighbour;
	struct route route;
	int r = route_ask(host->ip, &route);

	if (!r && (route.local || (front->shared->mode == HS_FRONT_DSR && route.has_router)))
		r = -ENETUNREACH;
	if (!r)
		r = describe_device(front, &route, &way);
	if (!r)
		r = neighbour_ask(route.ifindex, route.next, &neighbour);
	if (r < 0) {
		set_flag(host, HS_FRONT_REACHED, false);
		return r;
	}
	way.mtu = route.mtu;
	memcpy(way.outer, route.source, sizeof(way.outer));
	if (neighbour.known) {
		way.next_mac = mac_number(neighbour.mac);
		way.reached = true;
	}
	store_way(host, &way);
	return neighbour.fresh ? 0 : neighbour_probe(route.ifindex, route.next);
}

int front_follow_routes(struct front *front)
{
	int r = 0;

	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (front->shared->hosts[i].flags & HS_FRONT_CONFIGURED)
			r = follow(front, &front->shared->hosts[i]) ?: r;
	return r;
}
