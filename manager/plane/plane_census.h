/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the connections of a service are doing, by the census where the kernel can do that. */
#pragma once

#include "plane/bpf/census.h"
#include "plane/plane.h"

/*
 * Counts as idle what is idle for `idle_usec` or longer. -EOPNOTSUPP and a sentence: without
 * accounting, or on a kernel that does not describe its structures (BTF); the counts of
 * plane_totals() do not depend on this.
 */
int plane_census(const struct plane *plane, uint64_t idle_usec,
		 struct place_census ret_places[HS_PLACES_MAX], struct problem *problem);

/*
 * Calls `each` for every tagged connection of the service, until it returns non-zero, which is
 * returned; pairs of the fast path with when something was sent by it. Where there is no census
 * sock_diag tells them, of listeners whose namespace is known, and without their times.
 * -EOPNOTSUPP: there is no accounting, and so no tag.
 */
int plane_each_connection(const struct plane *plane,
			  int (*each)(const struct connection *connection, void *userdata),
			  void *userdata);

/* What the instance in this slot has sent the fast way on connections that live, in bytes: TCP
 * knows nothing of it, so it is none of what motion.h tells. */
uint64_t plane_fast_sent(const struct plane *plane, unsigned slot);
