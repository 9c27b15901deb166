// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/room.h"

#include <sys/socket.h>

#include "plane/owners.h"
#include "plane/scan.h"
#include "util/macro.h"

static int set_share(const struct held_socket *held, int *ret_fd)
{
	int r = scan_borrow(held, ret_fd), on = 1;

	if (r < 0)
		return r;
	return setsockopt(*ret_fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ? -errno : 0;
}

/* 1, or 0 when it has gone meanwhile. */
static int open_one(const struct held_socket *held, uid_t uid)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = set_share(held, &fd);

	if (!r)
		r = owners_give_socket(fd, uid);
	return r == -ESTALE ? 0 : r;
}

static bool is_served(const struct config *config, const struct held_socket *held)
{
	const struct address *address = &held->socket.address;

	return config_has_port(config, address->port, address->udp);
}

int room_make(const char *cgroup, const struct config *config, uid_t uid)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	size_t n;
	int made = 0, r = scan_cgroup(cgroup, &held, &n);

	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (!is_served(config, &held[i]))
			continue;
		r = open_one(&held[i], uid);
		made += r > 0;
	}
	return r < 0 ? r : made;
}
