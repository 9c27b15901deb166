// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/nudge.h"

#include <sys/socket.h>

#include "plane/act/served.h"
#include "util/macro.h"

int nudge_socket(int socket_fd)
{
	return shutdown(socket_fd, SHUT_WR) < 0 ? -errno : 0;
}

static int nudge_held(const struct held_socket *held)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = scan_borrow(held, &fd);

	return r < 0 ? r : nudge_socket(fd);
}

static int nudge_which(struct plane *plane, const char *cgroup, bool idle_too)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	int nudged = 0, r;
	size_t n;

	r = served_sockets(plane, cgroup, &held, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		const struct listening_socket *socket = &held[i].socket;

		if (socket->address.udp || (!socket->queued && !idle_too) ||
		    !plane_find(plane, &socket->address))
			continue;
		/* one that is gone needs no waking */
		nudged += !nudge_held(&held[i]);
	}
	return nudged;
}

int nudge(struct plane *plane, const char *cgroup)
{
	return nudge_which(plane, cgroup, false);
}

int nudge_all(struct plane *plane, const char *cgroup)
{
	return nudge_which(plane, cgroup, true);
}
