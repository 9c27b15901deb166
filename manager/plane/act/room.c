// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/room.h"

#include <sys/socket.h>

#include "plane/act/owners.h"
#include "plane/borrow/latejoin.h"
#include "plane/borrow/scan.h"
#include "plane/claim.h"
#include "plane/kernel/ephemeral.h"
#include "util/macro.h"

/* Its group is that service's: with our selector all its clients would come to us. What cannot be
 * found out is refused. */
static int refuse_anothers(const struct plane *plane, const struct held_socket *held, int fd,
			   struct problem *problem)
{
	struct claim_owner owner;
	int r = plane ? claim_ask(plane, &held->socket, fd, &owner) : 0;

	if (r <= 0)
		return r;
	claim_describe(&held->socket.address, &owner, problem);
	return -EADDRINUSE;
}

static int set_share(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ? -errno : 0;
}

/* The kernel makes a group of two; the second one goes when the first has its place. */
static int attach(const struct listener *listener, int fd, int *ret_helper)
{
	int r = listener_attach(listener, fd);

	if (r != -EINVAL)
		return r;
	r = late_join(fd, ret_helper);
	return r < 0 ? r : listener_attach(listener, fd);
}

/* Until a slot serves, all go to it. What cannot be done is no reason to refuse: a slot that opens
 * its sockets to serve loses nothing. */
static void keep_serving(struct plane *plane, const struct held_socket *held, int fd,
			 struct room_helpers *helpers)
{
	_cleanup_(close_fdp) int helper = -1;
	struct listener *listener;

	if (!plane || held->socket.address.udp ||
	    plane_listener_get(plane, &held->socket.address, &listener, NULL) < 0 ||
	    listener_learn_netns(listener, fd) < 0 || attach(listener, fd, &helper) < 0)
		return;
	(void)listener_put(listener, HS_SLOT_PARK, fd, held->socket.cookie);
	if (helper >= 0 && helpers->n < ARRAY_SIZE(helpers->fds))
		helpers->fds[helpers->n++] = steal_fd(&helper);
}

void room_helpers_done(struct room_helpers *helpers)
{
	while (helpers->n)
		close_fd(helpers->fds[--helpers->n]);
}

/* 1, or 0 when it has gone meanwhile. */
static int open_one(struct plane *plane, const struct held_socket *held, uid_t uid,
		    struct room_helpers *helpers, struct problem *problem)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = scan_borrow(held, &fd);

	if (!r)
		r = refuse_anothers(plane, held, fd, problem);
	if (!r)
		r = set_share(fd);
	if (!r)
		r = owners_give_socket(fd, uid == ROOM_OWNER_STAYS ? held->socket.uid : uid);
	if (r > 0)
		keep_serving(plane, held, fd, helpers);
	return r == -ESTALE ? 0 : r;
}

int room_make(struct plane *plane, const char *cgroup, const struct config *config, uid_t uid,
	      struct room_helpers *ret_helpers, struct problem *problem)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	struct ephemeral range = ephemeral_range();
	size_t n;
	int made = 0, r = scan_cgroup(cgroup, &held, &n);

	ret_helpers->n = 0;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (!config_serves(config, &held[i].socket.address,
				   ephemeral_has(range, held[i].socket.address.port)))
			continue;
		r = open_one(plane, &held[i], uid, ret_helpers, problem);
		made += r > 0;
	}
	return r < 0 ? r : made;
}
