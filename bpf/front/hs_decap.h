/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On a host behind a front in `ipip`: what comes in a packet to this host, and is for a service of
 * it, is taken out and handed to the local stack; what the outer header names a second host for
 * (hs_front.h), and nobody here knows, goes on to that one.
 *
 * All services of the machine share these maps; they are pinned below HS_PIN_DECAP.
 */
#pragma once

#include "hs_abi.h"

#define HS_DECAP_LAYOUT	      1
#define HS_PIN_DECAP	      "%decap"
#define HS_DECAP_PORTS_MAX    16384
#define HS_DECAP_SERVICES_MAX 4096

/*
 * Key of map "ports" (hash; value: hs_control.service_id): where services listen. Addresses as
 * everywhere; :: and ::ffff:0.0.0.0 stand for any address of this machine of their family. Protocol
 * 0 stands for the address alone: for what has no ports, later fragments and ICMP. The port is then
 * the number of the service among those that have the address: 0, 1, ... without a gap.
 */
#define HS_DECAP_SHARING_MAX 16 /* services; those beyond it get nothing that has no ports */

struct hs_decap_port {
	__u8 ip[16];
	__u16 port; /* network byte order */
	__u8 protocol;
	__u8 pad;
};
_Static_assert(sizeof(struct hs_decap_port) == 20, "layout of map decap/ports");

/* Value of map "counts" (per-CPU hash, key: hs_control.service_id). Writer: the program; whoever
 * adds a service makes the entry. */
struct hs_decap_counts {
	__u64 packets, bytes; /* taken out: inner packets */
	__u64 passed_on;      /* to the second host */
	__u64 pad;
};
_Static_assert(sizeof(struct hs_decap_counts) == 32, "layout of map decap/counts");

/* Map "only" (hash, key: hs_control.service_id, value: __u32): the number of the one device by
 * which packets for a service come. No entry: by any. Writer: user space. */
#define HS_DECAP_NO_DEVICE 0xffffffffU /* it is not there */

/*
 * Key of map "peers" (LPM trie), value: enum hs_decap_peer_flag: whom a service has to do with.
 * What none is found for, as long as its service has not said anything, may do both.
 */
#define HS_DECAP_PEERS_MAX 16384

enum hs_decap_peer_flag {
	HS_DECAP_FROM = 1 << 0, /* what it has packed is unpacked */
	HS_DECAP_TO = 1 << 1,	/* it may be a second host */
};

struct hs_decap_peer {
	__u32 length; /* in bits of what follows */
	__u32 service_id;
	__u8 ip[16];
};
_Static_assert(sizeof(struct hs_decap_peer) == 24, "layout of map decap/peers");

/* The one value of map "state" (array). Writer: user space. */
struct hs_decap_state {
	__u32 layout; /* HS_DECAP_LAYOUT */
	__u32 pad;
};
