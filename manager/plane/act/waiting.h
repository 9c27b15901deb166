/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections that wait for accept(2), and taking an instance that accepts none out of service. */
#pragma once

#include <stdint.h>

#include "core/watch/stall.h"
#include "plane/plane.h"

/*
 * Who waits on the slot's sockets of one TCP listener. Without accounting: on any slot's. One that
 * the client has reset while it waited is not listed, though it is in the queue. The caller frees
 * `cookies`. `ret_oldest` (may be NULL): how long the oldest one has waited, microseconds; 0
 * without accounting: it is not known then.
 */
int waiting_names(const struct plane *plane, const struct listener *listener, unsigned slot,
		  struct stall_names *ret_names, uint64_t *ret_oldest);

/*
 * The slot hangs: it is suspect from now on, `to` is active if it was, and nothing is sent to it
 * any more. The caller lets handshakes in flight finish, and moves its queue by bounce().
 */
void waiting_leave(struct plane *plane, unsigned slot, unsigned to);
