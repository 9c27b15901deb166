// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/early.h"

#include "plane/act/served.h"
#include "plane/claim.h"
#include "util/macro.h"

/* 1 = it is set aside now. */
static int set_aside(struct plane *plane, unsigned slot, const struct held_socket *held)
{
	struct listener *listener = plane_find(plane, &held->socket.address);
	_cleanup_(close_fdp) int fd = -1;
	struct claim_owner owner;

	if (!listener || scan_borrow(held, &fd) < 0 ||
	    claim_take(plane, slot, &held->socket, fd, NULL, &owner) != CLAIM_TAKEN)
		return 0;
	return !listener_put_aside(listener, slot, fd);
}

int early_reach(struct plane *plane, unsigned slot, const char *cgroup)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	int done = 0, r;
	size_t n = 0;

	r = served_sockets(plane, cgroup, &held, &n);
	for (size_t i = 0; r >= 0 && i < n; i++)
		done += set_aside(plane, slot, &held[i]);
	return r < 0 ? r : done;
}
