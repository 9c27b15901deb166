/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel side of a front, a service whose slots are hosts: maps and program of its own below
 * the service's folder, and the program of its device, which hands it what is for it. All of it is
 * pinned and goes on without us. See bpf/front/hs_front.h.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "hs_abi.h"
#include "hs_front.h"
#include "util/problem.h"

struct config_front;
struct front;

/* Pins of the service that the front's program reads and writes as well; they stay the caller's.
 * -1: it has none. */
struct front_maps {
	int control, counters, events, preview, prefixes, tables, pinned, trace_rings, trace_terms;
};

/* `folder`: of the service's pins. -ENOENT: it has no front. */
int front_open(const char *folder, struct front **ret_front);

/*
 * Makes what is missing and brings all of it up to date with the settings; *front is opened, if it
 * is NULL. Checks everything first: with an error there is a sentence, and nothing has changed.
 */
int front_apply(const char *folder, uint32_t service_id, const struct front_maps *maps,
		const struct config_front *config, struct front **front, struct problem *problem);

/* Traffic goes on. Takes NULL. */
struct front *front_free(struct front *front);

/* Off its device, its pins away; those of the device, too, if it was the last one there. 0 also
 * when there is none. */
int front_remove(const char *folder, uint32_t service_id);

/* Bit masks: the hosts that are in the settings; and those that get flows that begin. */
uint32_t front_hosts(const struct front *front);
uint32_t front_taking(const struct front *front);
/* By one atomic store. */
void front_set_taking(struct front *front, unsigned host, bool takes);
/* Those among them that are not well, and get them because none is; who does not take any is not
 * kept. */
uint32_t front_kept(const struct front *front);
void front_set_kept(struct front *front, unsigned host, bool kept);
/* Names this time of its taking flows; 0 = it never did. */
uint64_t front_run(const struct front *front, unsigned host);

struct front_host_view {
	uint8_t ip[16]; /* network byte order; IPv4 as ::ffff:a.b.c.d */
	bool reached;	/* its next hop answers */
	uint8_t mac[6]; /* of the next hop; zero: not known */
	uint32_t ifindex, mtu;
	uint16_t vlan; /* of the front's device that it is on; 0 = none */
};

/* False: there is no such host. */
bool front_host(const struct front *front, unsigned host, struct front_host_view *ret_view);

/* Asks the kernel for route and neighbour of each host, and has the program know; neighbours that
 * were not heard of lately are asked. Cheap enough for once a second. 0, or -errno. */
int front_follow_routes(struct front *front);

const char *front_device(const struct front *front);
/* Whether the program is there still: a device that goes takes it along, and one that comes under
 * the same name has none. */
bool front_is_attached(const struct front *front);
/* Whether packets that came in one by one may have become one before the program sees them: behind
 * the driver they may. */
bool front_merges(const struct front *front);
/* Whether the program sees packets without the tags of VLANs that are on the device, such as this
 * one. */
bool front_lacks_tags(const struct front *front, char ret_vlan[IFNAMSIZ]);
/* Whether it is one of two that are connected by the kernel (veth): what comes in by it may never
 * have been on a wire. */
bool front_is_pair(const struct front *front);
/* In the driver, not behind it. */
bool front_is_native(const struct front *front);

struct front_count {
	uint64_t packets, bytes, flows; /* flows that began */
	double flows_per_second;	/* lately */
};

struct front_totals {
	struct front_count hosts[HS_SLOTS_MAX];
	/* see struct hs_front_counts and struct hs_front_device_counts; the latter are of all
	 * services on the device */
	uint64_t unknown, unremembered, fragments_lost, too_big, malformed, passed, no_host, no_way;
	uint64_t other_ports;
};

int front_totals(const struct front *front, struct front_totals *ret_totals);
/* That one alone, which costs less. */
uint64_t front_other_ports(const struct front *front);

struct front_live {
	uint64_t connections; /* TCP: neither end has closed, and heard of within two hours */
	uint64_t flows;	      /* UDP, not idle */
};

/* For how many flows that last there is room; what is more pushes others out. */
uint32_t front_room(const struct front *front);
/* Goes through all flows. */
int front_live(const struct front *front, struct front_live live[HS_SLOTS_MAX]);

/* The same in portions: of millions of flows it takes seconds. It is of these maps alone, which
 * have to stay open. */
struct front_tally;
struct front_tally *front_tally_new(const struct front *front);
struct front_tally *front_tally_free(struct front_tally *tally);
/* Goes on until this time, microseconds of the monotonic clock, or a little more. 1: all are
 * counted, into `live`; 0: not yet; -errno. */
int front_tally_go_on(struct front_tally *tally, uint64_t until_usec,
		      struct front_live live[HS_SLOTS_MAX]);

/* What is left of a flow that is remembered. */
enum front_life {
	FRONT_LIFE_OVER,      /* it has ended, is silent for too long, or was another host's */
	FRONT_LIFE_HALF_OPEN, /* of TCP: the client has not answered its host yet, and may */
	FRONT_LIFE_LIVES,
};

enum front_life front_life_of(const struct front *front, const struct hs_front_flow_key *key,
			      const struct hs_front_flow *flow);

/* Non-zero: there is to be no other one. */
typedef int (*front_flow_fn)(const struct hs_front_flow_key *key, const struct hs_front_flow *flow,
			     void *userdata);

/* Each flow that is known, those among them that are over. 0, also when it was ended, or -errno. */
int front_each_flow(const struct front *front, front_flow_fn on_flow, void *userdata);

/* Of what two fronts must have alike: addresses, ports, hosts by number, mode. */
uint64_t front_hash(const struct front *front);
