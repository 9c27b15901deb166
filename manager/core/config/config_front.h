/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Section [Front] of a service's settings: a service whose slots are hosts, and how packets get to
 * them; or, on a host, that packets come encapsulated. Part of struct config.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config/config_ports.h"
#include "core/setting.h"
#include "hs_abi.h"

#define CONFIG_FRONT_SECTION	   "Front"
#define CONFIG_FRONT_ADDRESSES_MAX 8
#define CONFIG_FRONT_WEIGHT_MAX	   10U
#define CONFIG_DECAP_FROM_MAX	   32
#define CONFIG_AGENT_PORT	   9790 /* units/hotstandby-agent@.socket */

/* flows remembered; a power of 2 is not asked for */
#define CONFIG_FRONT_FLOWS_MIN 1024U
#define CONFIG_FRONT_FLOWS_MAX 4194304U
/* how many of them may begin in a second; 0 = one in so many of those that are remembered */
#define CONFIG_FRONT_NEW_MIN  0U
#define CONFIG_FRONT_NEW_MAX  10000000U
#define CONFIG_FRONT_NEW_PART 4U

enum front_mode {
	FRONT_DSR,  /* the host has the service's address as well, and answers by itself */
	FRONT_IPIP, /* likewise, and packets come to it encapsulated */
	FRONT_NAT,  /* the host has its own address only, and answers through the front */
	FRONT_MODES
};

/* An address as everywhere: 16 bytes, network byte order, IPv4 as ::ffff:a.b.c.d. */
struct front_address {
	uint8_t ip[16];
};

struct front_host {
	struct front_address address;
	bool given;	 /* there is a host of this number */
	unsigned weight; /* percent, with policy hash */
};

struct config_front {
	unsigned n_addresses; /* Address= */
	struct front_address addresses[CONFIG_FRONT_ADDRESSES_MAX];
	unsigned n_ports; /* Ports= */
	struct config_port ports[CONFIG_PORTS_MAX];
	unsigned n_hosts;		       /* Host= */
	struct front_host hosts[HS_SLOTS_MAX]; /* by number, which is that of a slot */
	unsigned mode;			       /* enum front_mode: Mode= */
	char device[IFNAMSIZ];		       /* Device=: "" = that of the way to the first host */
	unsigned agent_port;		       /* Agent=: of the hosts; 0 = none is asked */
	unsigned flows, new_flows;	       /* Flows=, NewFlows= */
	bool decap;			       /* Decap=: of a host */
	unsigned n_decap_from;		       /* DecapFrom=; 0 = whoever has packed it */
	struct hs_prefix decap_from[CONFIG_DECAP_FROM_MAX];
};

/* Whether its slots are hosts. */
bool config_is_front(const struct config_front *front);
/* How many flows may begin in a second. */
unsigned config_front_new_flows(const struct config_front *front);
/* Whether connections of the front's own can be led to a host: by an address of its family. */
bool config_front_leads(const struct config_front *front, unsigned host);
/* One more than the highest number. */
unsigned config_front_slots(const struct config_front *front);

/* The keys of this section, as config_key(); they are set in a struct config_front. */
const struct setting *config_front_key(size_t index);

/* Behind the last assignment: -EINVAL and a sentence unless they go together. */
int config_front_check(const struct config_front *front, struct problem *problem);

/* "dsr", "ipip", "nat". */
const char *front_mode_to_string(unsigned mode);

#define FRONT_ADDRESS_TEXT_MAX 46
/* "192.0.2.1", "2001:db8::1". Returns `text`. */
const char *front_address_format(const uint8_t ip[16], char text[FRONT_ADDRESS_TEXT_MAX]);
/* -EINVAL. */
int front_address_parse(const char *text, uint8_t ret_ip[16]);
bool front_address_is_ipv4(const uint8_t ip[16]);
