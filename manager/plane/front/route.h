/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel knows of the way to an address: route, neighbour, device (rtnetlink(7)).
 * Addresses are 16 bytes in network byte order, IPv4 as ::ffff:a.b.c.d. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct route {
	bool local;	  /* it is an address of this machine */
	uint32_t ifindex; /* of the device that leads there */
	bool has_router;  /* by `next`; else that is the address itself */
	uint8_t next[16];
	uint8_t source[16]; /* of this machine, that it would be asked from; zero: none */
	uint32_t mtu;
};

/* -ENETUNREACH and the like: there is none. */
int route_ask(const uint8_t ip[16], struct route *ret_route);
/* Of an error of route_ask(): there is no route, or one that refuses; not that it cannot be asked.
 */
bool route_is_lacking(int error);
/* Whether packets to an address are for this machine, or have a route on it, also one into nothing:
 * so routing daemons announce what is led on in another way. Also where that cannot be asked. */
bool route_is_known(const uint8_t ip[16]);

struct neighbour {
	bool known; /* `mac` holds */
	bool fresh; /* and it was heard of lately */
	uint8_t mac[6];
};

/* Nothing is known of one that is not there. -errno. */
int neighbour_ask(uint32_t ifindex, const uint8_t ip[16], struct neighbour *ret_neighbour);
/* Has the kernel look for it. */
int neighbour_probe(uint32_t ifindex, const uint8_t ip[16]);

struct device_facts {
	uint32_t ifindex, mtu;
	uint8_t mac[6];
	char lower[IFNAMSIZ]; /* of a VLAN: the device that it is on; else "" */
	uint16_t vlan;
	char driver[32]; /* "" = not known */
	bool strips;	 /* it takes VLAN tags off, and they are beside the packet from then on */
	bool merges;	 /* it makes large packets out of several that came in (GRO, LRO) */
	bool elsewhere;	 /* set by front_check(): hosts are reached by other devices than this */
};

/* A VLAN device that is on this one. False: there is none. */
bool device_find_vlan(const char *name, char ret_vlan[IFNAMSIZ]);
/* -ENODEV: there is none of this name. */
int device_ask(const char *name, struct device_facts *ret_facts);
