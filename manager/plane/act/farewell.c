// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/farewell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "plane/preview/reach.h"
#include "util/macro.h"

#define HANDSHAKE_MSEC 100

bool farewell_is_due(int socket_fd)
{
	int flags = fcntl(socket_fd, F_GETFL);

	return flags >= 0 && !(flags & O_NONBLOCK);
}

static int meet(const struct reach *reach)
{
	struct pollfd done = {.fd = reach->fd, .events = POLLOUT};

	if (!connect(reach->fd, (const struct sockaddr *)&reach->dest, reach_size(&reach->dest)))
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	return poll(&done, 1, HANDSHAKE_MSEC) == 1 ? 0 : -ETIMEDOUT;
}

static int reach_aside(struct plane *plane, const struct listener *listener, unsigned slot,
		       const struct hs_preview_owner_id *owner)
{
	struct preview_wish wish = {.owner = owner, .slot = slot, .aside = true};
	struct reach reach = {.fd = -1};
	int r = reach_open(plane, listener, &wish, &reach);

	if (r < 0)
		return r;
	r = meet(&reach);
	close_fd(reach.fd);
	preview_remove(plane, &reach.key);
	return r;
}

int farewell(struct plane *plane, const struct listener *listener, unsigned slot)
{
	struct hs_preview_owner_id owner;
	int r = owner_of_process(0, &owner);

	if (!r)
		r = preview_begin(plane, &owner);
	if (r < 0)
		return r;
	r = reach_aside(plane, listener, slot, &owner);
	(void)preview_end(plane, &owner);
	return r;
}
