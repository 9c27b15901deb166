/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hsd and hs-replay tell each other. Each is one packet on a socket pair, behind hs-replay's
 * struct errand_hello; they are of one build, or that tells that they are not. hs-replay reads what
 * comes from the network, so nothing that comes from it is trusted (replay_check()).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/wire/exporters.h"

#define REPLAY_LISTENERS_MAX 64
#define REPLAY_PART	     64 /* exporters in one packet of a list */

enum replay_kind {
	/* to hs-replay */
	REPLAY_WATCH, /* these are the addresses of the service */
	REPLAY_ASK,   /* who is remembered? */
	REPLAY_SEND,  /* the templates of these */
	/* from hs-replay */
	REPLAY_COUNTS, /* what is remembered; without having been asked, now and then */
	REPLAY_PLACES, /* an answer to REPLAY_ASK, of which there may be several */
	REPLAY_SENT,   /* the answer to REPLAY_SEND */
	REPLAY_KINDS
};

/* Addresses in network byte order, IPv4 mapped; ports in host byte order. */
struct replay_listener {
	uint8_t ip[16]; /* all zero: all addresses */
	uint16_t port;
	uint8_t ipv4, ipv6; /* what it takes */
};

struct replay_watch {
	uint32_t kind, n;
	struct replay_listener listeners[REPLAY_LISTENERS_MAX];
};

struct replay_ask {
	uint32_t kind, id;
};

struct replay_send {
	uint32_t kind, id;
	uint32_t n;
	uint32_t numbers[EXPORTERS_MAX]; /* the first n are sent */
};

struct replay_counts {
	uint32_t kind, pad;
	struct exporters_counts counts;
};

/* Where an exporter's templates will be sent from, and to. Its port is told apart: it has a part in
 * who it belongs to, and where they come from its own port they would not be told from its flows.
 */
struct replay_place {
	uint32_t number;
	uint16_t port; /* of the exporter */
	uint16_t pad;
	struct exporter_ends ends;
};

struct replay_places {
	uint32_t kind, id;
	uint32_t n, more; /* 1: there is another packet of this list */
	struct replay_place places[REPLAY_PART];
};

struct replay_sent {
	uint32_t kind, id;
	uint32_t datagrams;
	int32_t error; /* the last one's, -errno; 0: all were sent */
};

/* How much of a packet of these has to be sent. */
size_t replay_send_size(unsigned n);
size_t replay_places_size(unsigned n);

/* The kind of a packet from hs-replay that may be used as what it should be; REPLAY_KINDS: it must
 * not be used. */
enum replay_kind replay_check(const void *packet, size_t size);

/*
 * Where what came to `seen` is sent when it is sent again. To all addresses of a listener: over
 * loopback, from the exporter's own port, so that collectors that go by the port know it, and
 * nobody takes it for its flows. To one address: there, from a port that is not the exporter's.
 * False: no listener takes it.
 */
bool replay_ends(const struct replay_watch *watch, const struct exporter_ends *seen,
		 struct exporter_ends *ret_ends);
