/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server outside of the slots, such as the plain unit that a template was made from, keeps its
 * addresses to itself. Setting SO_REUSEPORT on its sockets lets a slot bind them as well; the
 * kernel looks at the options as they are then, and makes a group of both (plane/latejoin.h). The
 * server notices nothing, and serves as before until the slot's selector is attached.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "core/config.h"

/*
 * Does that to the sockets on Ports= that processes in the cgroup hold, and gives them to the user
 * that the slot's will have; see plane/owners.h. Borrows each for a moment. Returns how many there
 * are now that can be joined, or -errno. The option stays: the kernel remembers for the port that
 * it was there, and a socket that came by that memory would be in no group with this one.
 */
int room_make(const char *cgroup, const struct config *config, uid_t uid);
