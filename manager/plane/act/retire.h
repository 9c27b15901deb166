/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking a slot out of service without losing what waits on it, in two steps:
 *
 * - retire_leave(): flip away if the slot is active, and withdraw its sockets, so that no new flow
 *   goes there. The caller lets it settle: handshakes that began there finish there.
 * - bounce(): connections that are still queued move to another slot, inside the kernel.
 *
 * Datagrams cannot be moved, nor can what waits on an AF_UNIX socket: the caller waits until
 * retire_look() finds nothing left, for a while.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plane/borrow/scan.h"
#include "plane/plane.h"

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

/* What cannot be moved, and is still there. */
struct retire_left {
	uint64_t unread;  /* bytes of datagrams, as the kernel accounts for their memory */
	uint64_t waiting; /* connections that wait for accept() at paths; not known: QUEUED_UNKNOWN
			   */
	uint64_t open;	  /* those that were accepted there */
	bool at_work; /* all datagrams were read, and their reader may not be done with the last */
};

/* What became of the queues. */
struct retire_queues {
	int moved; /* connections, or -errno */
	struct retire_left left;
};

/* After RETIRE_LAST, when there is nobody to wait for: withdraws the slot where there is a park.
 * RETIRE_PARKED; or RETIRE_LAST, when there is none at all. */
enum retire_answer retire_park(struct plane *plane, unsigned slot);

/* What processes in the cgroup send to the service over the loopback device is this slot's (see
 * plane/bpf/own.h), also after it is retired, and with Self=active: a command of ExecStop= that
 * tells the server to stop by one of its ports ("rndc stop") must not reach the slot that took
 * over. */
int retire_keep_reach(struct plane *plane, unsigned slot, const char *cgroup,
		      struct problem *problem);

/* The slot's instance has ended, and nobody may have retired it. If it is the active one, another
 * slot with a live socket is from now on. False: there is nothing to do, or no such slot. */
bool retire_gone(struct plane *plane, unsigned slot, unsigned *ret_to);

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

/* Looks at the slot's AF_UNIX sockets, and at the UDP sockets of the cgroup that belong to this
 * service, in the map or not. */
int retire_look(struct plane *plane, unsigned slot, const char *cgroup,
		struct retire_left *ret_left);
/* Whether there may be any of it in this service. */
bool retire_has_left(const struct plane *plane);
/* Whether there is nothing to wait for any more: neither datagrams nor queues, and what is `open`
 * or `at_work` for a short time only, as connections may stay for long, and some are never idle.
 * `waited_usec`: since nothing was lost with the instance. */
bool retire_is_over(const struct retire_left *left, uint64_t waited_usec);
/* Whether something is lost with the instance, or may be. */
bool retire_loses(const struct retire_left *left);

/*
 * Ends all connections of the slot that are counted, at once and not in an orderly way. Returns how
 * many, or -errno. `tell` (may be NULL) is called with each before: to end it takes its lock, and
 * whoever waits for an owner that holds it should have said for which (scan_on_borrow()).
 */
int reset_connections(struct plane *plane, unsigned slot,
		      void (*tell)(const struct connection *connection));
