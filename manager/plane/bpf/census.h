/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The census (bpf/count/census.bpf.c): what the connections of a service are doing, asked from the
 * kernel in one pass over its tagged sockets, in whatever network namespace they are; nothing is
 * held, locked or changed. Costs nothing until somebody asks.
 */
#pragma once

#include <stdint.h>

#include "hs_abi.h"
#include "plane/kernel/diag.h"
#include "util/problem.h"

struct place_census {
	uint64_t connections; /* live, as slot_totals.connections, and as exact */
	uint64_t half_open; /* handshakes under way; under SYN cookies there is no trace of them */
	uint64_t idle;	    /* connections without data in either direction for as long as asked */
	/* age of the oldest connection, and how long the idlest has been idle; 0 without any */
	uint64_t oldest_usec, idlest_usec;
};

/* How long ago it was established, microseconds; 0 when that is not known. */
uint64_t connection_age(const struct connection *connection);

/*
 * Over any such maps; the descriptors are not kept. The accounting keeps one from the first
 * question on. With every error of opening it `problem` is set.
 */
struct census;
int census_open(int tags_fd, int moved_fd, struct census **ret_census, struct problem *problem);
int census_take(struct census *census, uint32_t service_id, uint64_t idle_usec,
		struct place_census places[HS_PLACES_MAX]);
int census_list(struct census *census, uint32_t service_id,
		int (*each)(const struct connection *connection, void *userdata), void *userdata);
struct census *census_free(struct census *census);
