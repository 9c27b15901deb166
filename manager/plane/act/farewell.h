/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A last connection for a server that is about to stop, and may sleep in accept(2) for ever.
 *
 * A server that polls, and accepts from a socket that blocks, counts on what poll(2) said. When its
 * queue is taken away between the two it sleeps in a call that it did not mean to sleep in: it goes
 * on as its own loop at the next connection, and no more comes to a slot that is retired. One that
 * only notes down in its handler that it is to end is killed then, when its unit's time is over.
 */
#pragma once

#include <stdbool.h>

#include "plane/plane.h"

/* Whether the owner of this socket may sleep: it is one that blocks. */
bool farewell_is_due(int socket_fd);

/*
 * One connection of ours to a socket of the slot that was set aside, closed at once: accept(2)
 * returns, and the next read finds the end. Waits for the handshake, which does not leave this
 * machine, for a tenth of a second at most. -errno when there could be none.
 */
int farewell(struct plane *plane, const struct listener *listener, unsigned slot);
