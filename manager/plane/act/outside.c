// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/outside.h"

#include "plane/act/served.h"
#include "plane/claim.h"
#include "util/macro.h"

static bool is_outside(const struct address *address, const struct config *config)
{
	return !config_has_port(config, address->port, address->udp);
}

bool outside_any(const struct plane *plane, const struct config *config)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++)
		if (is_outside(&listeners[i]->address, config))
			return true;
	return false;
}

static int leave(struct plane *plane, const struct held_socket *held)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = scan_borrow(held, &fd);

	/* what is another service's is in a group of that one's */
	if (r < 0 || claim_is_of_another(plane, fd))
		return r == -ESTALE ? 0 : r;
	r = listener_detach(fd);
	claim_drop(plane, fd);
	return r;
}

int outside_leave(struct plane *plane, const struct config *config, const char *cgroup)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	size_t n = 0;
	int result, r;

	result = served_sockets(plane, cgroup, &held, &n);
	for (size_t i = 0; result >= 0 && i < n; i++) {
		if (!is_outside(&held[i].socket.address, config) ||
		    !plane_find(plane, &held[i].socket.address))
			continue;
		r = leave(plane, &held[i]);
		result = r < 0 ? r : result;
	}
	return MIN(result, 0);
}
