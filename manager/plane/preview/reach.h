/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A socket of ours whose connection will go to one slot, on an address of its service. */
#pragma once

#include <sys/socket.h>

#include "plane/preview/preview.h"

struct reach {
	int fd; /* bound, not blocking, not yet connected */
	struct sockaddr_storage dest;
	struct hs_preview_key key; /* of the rule: preview_remove() */
};

/*
 * In the listener's network; `wish->netns` is set here. A wildcard address stands for this host.
 * -ENOTCONN: its network namespace is not known; or as preview_direct(). Nothing blocks.
 */
int reach_open(struct plane *plane, const struct listener *listener,
	       const struct preview_wish *wish, struct reach *ret_reach);
socklen_t reach_size(const struct sockaddr_storage *dest);
