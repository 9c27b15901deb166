/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Led connections: what processes of a front's own machine begin with the service's address, and
 * what is to come to one host, by the very path that clients' packets take.
 *
 * The socket is connected to the host's own address: so the kernel chooses the source, the device
 * and the neighbour, wherever the service's address is. On its way out of the device a packet gets
 * the service's address for the host's, and in `ipip` its outer header; what comes back gets the
 * host's for the service's before the machine looks at it, to which an address of its own as a
 * source would be a forgery.
 *
 * All fronts share these maps; they are pinned below HS_PIN_LED, one folder for the machine.
 */
#pragma once

#include "hs_abi.h"

#define HS_LED_LAYOUT 2
#define HS_PIN_LED    "%led"

#define HS_LED_SOCKETS_MAX 65536
/* of these a command may have so many at a time: probes are to find room whoever may use exec */
#define HS_LED_COMMAND_MAX 1024
#define HS_LED_FLOWS_MAX   16384
#define HS_LED_OWNERS_MAX  1024

/* Where a connection is to go. Addresses in network byte order, IPv4 as ::ffff:a.b.c.d, all of one
 * family. */
struct hs_led_path {
	__u8 asked[16];	  /* the service's address */
	__u8 host[16];	  /* what the socket is connected to */
	__u8 carried[16]; /* what the packet says: that of the service, in nat that of the host */
	__u8 outer[16];	  /* source of the outer header */
	__u16 port;	  /* of the service and of the host, network byte order */
	__u8 protocol;	  /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 encapsulate; /* 1: ipip */
	__u32 service_id; /* hs_control.service_id */
	__u8 slot;	  /* number of the host */
	__u8 pad[7];
};
_Static_assert(sizeof(struct hs_led_path) == 80, "layout of map led/sockets");

/* Value of map "sockets" (hash, key: SO_COOKIE). Writers: who makes the socket, or the program on
 * its control group, before the first packet; of the counts: the programs on the devices. */
struct hs_led_socket {
	struct hs_preview_owner_id owner;
	struct hs_led_path path;
	__u32 led;	/* packets that left on their path */
	__u32 held;	/* that were held back: too large for the path, or in fragments */
	__u32 answered; /* packets that came back on it */
	__u32 pad;
};
_Static_assert(sizeof(struct hs_led_socket) == 112, "layout of map led/sockets");

/* Key of map "flows" (LRU hash), as the packet has it before its address is changed. */
struct hs_led_key {
	__u8 own[16], peer[16];
	__u16 own_port, peer_port; /* network byte order */
	__u8 protocol;
	__u8 incoming; /* 1: from the host to us */
	__u8 pad[2];
};
_Static_assert(sizeof(struct hs_led_key) == 40, "layout of map led/flows");

/* Written by the programs on the devices. Outlives its socket: the kernel goes on sending what is
 * left to be said. */
struct hs_led_flow {
	__u64 cookie; /* of the socket */
	struct hs_led_path path;
};
_Static_assert(sizeof(struct hs_led_flow) == 88, "layout of map led/flows");

/* The one value of map "state" (array). Writer: user space. */
struct hs_led_state {
	__u32 layout; /* HS_LED_LAYOUT */
	__u32 on;     /* 1: somebody may have made led connections */
	/* since when nobody is there who makes any, CLOCK_MONOTONIC; 0: somebody is */
	__u64 idle_ns;
};
_Static_assert(sizeof(struct hs_led_state) == 16, "layout of map led/state");

/*
 * The command's programs (bpf/front/led_exec.bpf.c): key of their map "ways", the value being a
 * path. They count as those of other commands do: struct hs_exec_counts.
 */
struct hs_led_way {
	__u8 address[16];
	__u16 port; /* network byte order */
	__u8 protocol;
	__u8 pad;
};
_Static_assert(sizeof(struct hs_led_way) == 20, "layout of map ways");

#define HS_LED_WAYS_MAX 1024
