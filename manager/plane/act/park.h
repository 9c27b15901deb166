/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The park of a listener: a listening socket of the manager's own in the listener's reuseport
 * group, where connections wait while no slot takes them. TCP only.
 *
 * Who opens one owns it. It must be kept where it outlives the manager: with its last copy it takes
 * along what waits there, unless a slot is live then.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "plane/plane.h"

/* Between the moment when new flows go elsewhere and park_close(): handshakes that were about to
 * finish on the park have finished then, see park_close(). Microseconds. */
#define PARK_SETTLE_USEC 1000

/*
 * Opens a park for `listener` and puts it in the map, from where the selector takes it when it has
 * nothing better. `model` is a listening socket of the same listener: uid and options are taken
 * from it (see park_copy_options()). `max`: how many may wait, 0 = as many as on the model.
 *
 * -EADDRINUSE: another uid has bound the address. -ENODATA: the namespace is not known. Never
 * touches the model.
 */
int park_open(const struct plane *plane, struct listener *listener, int model, unsigned max,
	      int *ret_fd);

/*
 * The same in two steps, for a manager that must not touch the model itself, whose owner may hold
 * it: park_twin() makes a socket that is like the model and bound where it is, and park_start()
 * lets it listen, for `max` connections, and puts it in the map.
 */
int park_twin(struct listener *listener, int model, int *ret_fd);
/* As park_twin(), but not bound: it has nothing of the address until park_bind(). */
int park_spare(struct listener *listener, int model, int *ret_fd);
int park_bind(const struct address *address, int fd);
int park_start(const struct plane *plane, struct listener *listener, int fd, unsigned max);

/* Only the last two steps, for a park that has listened before: the tag, and the place in the map.
 */
int park_put(const struct plane *plane, struct listener *listener, int fd);

/*
 * A connection has the options of the socket it was born on, and keeps them wherever it goes: what
 * a server has set on its listener must be set on the park as well. As well as can be: what the
 * kernel does not tell (filters, MD5 keys) or refuses is left.
 */
void park_copy_options(int fd, int model);

/* Sets how many may wait, as for park_open(). Of a socket that has been shut down: it listens
 * again. */
int park_set_max(int fd, int model, unsigned max);
/* How many may wait; SOMAXCONN when it does not listen. */
unsigned park_max(int fd);

/* How many wait. -EBADFD: it does not listen (any more). */
int park_waiting(int fd);

/*
 * Shuts it down: the kernel moves all that waits, in order, to where the selector sends it now;
 * half open handshakes follow with their last packet. Where nobody else is in the group, they are
 * reset. Returns how many waited. The caller closes the descriptor.
 *
 * A handshake that finishes at this very moment is lost (the kernel finds the listener gone when it
 * queues the connection): so new flows go elsewhere first, for PARK_SETTLE_USEC.
 */
int park_close(struct listener *listener, int fd);

/* How old the connections are that wait at this listener's parks: milliseconds, the oldest first;
 * what a manager needs that has found them waiting. The caller frees. Needs accounting. */
int park_ages(const struct plane *plane, const struct listener *listener, uint32_t **ret_ages,
	      size_t *ret_n);

/*
 * Accepts the first `n` and ends them in order: the client reads the end of the connection, no
 * reset, though it may have sent something. Returns how many there were.
 */
unsigned park_turn_away(int fd, unsigned n);
