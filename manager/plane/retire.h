/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking a slot out of service without losing what waits on it, in two steps:
 *
 * - retire_leave(): flip away if the slot is active, and withdraw its sockets, so that no new flow
 *   goes there. The caller lets it settle: handshakes that began there finish there.
 * - bounce(): connections that are still queued move to another slot, inside the kernel.
 *
 * Datagrams cannot be moved: the caller waits until retire_unread() is 0, for a while.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plane/plane.h"
#include "plane/scan.h"

enum retire_answer {
	RETIRE_DONE,	 /* the slot gets nothing more */
	RETIRE_NOT_HERE, /* it had no sockets in the map */
	RETIRE_LAST,	 /* no other slot has a live socket: left as it was */
	RETIRE_PARKED,	 /* likewise; it gets nothing more, new connections go to the park */
};

/* `ret_to`: the slot that is active now. `allowed`: slots that may be flipped to, as a bit mask;
 * those without a live socket are passed over. */
enum retire_answer retire_leave(struct plane *plane, unsigned slot, uint32_t allowed,
				unsigned *ret_to);

/* What became of the queues. */
struct retire_queues {
	int moved;	 /* connections, or -errno */
	uint64_t unread; /* bytes of datagrams, as the kernel accounts for their memory */
};

/* After RETIRE_LAST, when there is nobody to wait for: withdraws the slot where there is a park.
 * RETIRE_PARKED; or RETIRE_LAST, when there is none at all. */
enum retire_answer retire_park(struct plane *plane, unsigned slot);

/*
 * What processes in the cgroup connect to on the service's ports, over TCP, is this slot's, also
 * after it is retired: a command of ExecStop= that tells the server to stop by one of them ("rndc
 * stop") must not reach the slot that took over. Ends with the cgroup, and preview_sweep().
 */
int retire_keep_reach(struct plane *plane, unsigned slot, const char *cgroup,
		      struct problem *problem);

/* The sentence at the end. `queues` is looked at with RETIRE_DONE and
 * RETIRE_PARKED only. */
void retire_describe(enum retire_answer answer, const struct plane *plane, unsigned slot,
		     const struct retire_queues *queues, struct problem *ret_sentence);

/*
 * Moves the accept queue of every listening socket in the cgroup that belongs to this service to
 * where the selector sends it: shutdown(SHUT_RD), at once listen() again, and back into the map if
 * `keep_in_map`. Returns how many connections were queued, or -errno.
 *
 * Only of sockets that have a queue, and whose listener another slot serves, too (or, unless
 * `keep_in_map`, that has a park); the others are left alone. An owner that does something else
 * (hangs, or finishes what it has) notices nothing. One that waits in accept() or epoll_wait() on
 * the socket is woken between the two calls, and may see EINVAL or EPOLLHUP; but such an owner has
 * no queue, but for a moment.
 *
 * Kernel: inet_csk_listen_stop() and reuseport_migrate_sock(). Handshakes that are half open at the
 * time finish on the old socket: let it settle first.
 */
int bounce(struct plane *plane, unsigned slot, const char *cgroup, bool keep_in_map);

/* Bytes in the receive queues of the cgroup's UDP sockets that belong to this service, in the map
 * or not. */
int retire_unread(struct plane *plane, const char *cgroup, uint64_t *ret_bytes);

/*
 * Ends all connections of the slot that are counted, at once and not in an orderly way. Returns how
 * many, or -errno. `tell` (may be NULL) is called with each before: to end it takes its lock, and
 * whoever waits for an owner that holds it should have said for which (scan_on_borrow()).
 */
int reset_connections(struct plane *plane, unsigned slot,
		      void (*tell)(const struct connection *connection));
