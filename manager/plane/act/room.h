/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server outside of the slots, such as the plain unit that a template was made from, keeps its
 * addresses to itself. Setting SO_REUSEPORT on its sockets lets a slot bind them as well; the
 * kernel looks at the options as they are then, and makes a group of both
 * (plane/borrow/latejoin.h). The server notices nothing.
 *
 * A socket that a slot opens before it serves must not get connections: it may be one that only
 * tries whether its settings are right (nginx -t), and is closed again. So the selector is attached
 * before, and the server's sockets are put where the park's are: there all go as long as no slot
 * serves.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "core/config/config.h"
#include "plane/plane.h"

/* Sockets by which others came into a group, see plane/borrow/latejoin.h: the caller's, who closes
 * them when handshakes that began with them have ended (Settle=). */
struct room_helpers {
	int fds[PLANE_LISTENERS_MAX];
	size_t n;
};
void room_helpers_done(struct room_helpers *helpers);

#define ROOM_OWNER_STAYS ((uid_t)-1)

/*
 * Does that to the sockets on Ports= that processes in the cgroup hold, and gives them to the user
 * that the slot's will have, unless that is ROOM_OWNER_STAYS; see plane/act/owners.h. Borrows each
 * for a moment. `plane`: NULL where the service has none yet. Returns how many there are now that
 * can be joined, or -errno; -EADDRINUSE and a sentence where another service has an address (see
 * plane/claim.h), whose group is left as it is. The option stays: the kernel remembers for the port
 * that it was there, and a socket that came by that memory would be in no group with this one.
 */
int room_make(struct plane *plane, const char *cgroup, const struct config *config, uid_t uid,
	      struct room_helpers *ret_helpers, struct problem *problem);
