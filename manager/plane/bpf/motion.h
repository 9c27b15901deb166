/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What moves on the connections that a service's slots have accepted: asked from the kernel in one
 * pass over the tagged sockets, as the census is. Costs nothing until somebody asks.
 */
#pragma once

#include <stdint.h>

#include "hs_abi.h"

struct motion;

struct place_motion {
	uint64_t accepted; /* connections that a process has */
	/* those with data that it has not begun to read, and all of whose answers have arrived */
	uint64_t unread;
	/* another number when it has read, written or closed, when a client has received, or when
	 * there are others; what clients send is no motion of the server's */
	uint64_t mark;
};

/* Over the accounting's maps, which need not stay open. -errno of loading it. */
int motion_open(int tags_fd, int moved_fd, struct motion **ret_motion);
struct motion *motion_free(struct motion *motion);

int motion_take(struct motion *motion, uint32_t service_id,
		struct place_motion ret_places[HS_PLACES_MAX]);
