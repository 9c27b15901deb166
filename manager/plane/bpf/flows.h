/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of UDP flows of one service, seen from user space: made, opened, counted. Only
 * selectors write there. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "hs_flow.h"

struct flows {
	int fd;				      /* -1: there is none yet */
	const struct hs_flow_bucket *buckets; /* mapped */
	uint32_t n;
};

#define FLOWS_NONE ((struct flows) {.fd = -1})

/* Opens the table pinned in a service's folder. -ENOENT: it has none. */
int flows_open(const char *folder, struct flows *ret_flows);
/* Makes one with room for at least this many flows, and pins it. */
int flows_create(const char *folder, unsigned max);
void flows_done(struct flows *flows);

/* The present as selectors see it: by the coarse clock, which is a moment behind the other one. */
uint32_t flows_tick(void);
/* Those of one slot that are not idle yet. */
struct slot_flows {
	uint64_t n;
	uint64_t idlest_usec; /* since a datagram of the quietest was seen; 0 without any */
};

/* Adds the live flows of each slot to `counts`. */
void flows_count(const struct flows *flows, const struct hs_flow_now *now,
		 struct slot_flows counts[HS_SLOTS_MAX]);
