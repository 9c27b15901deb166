// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/retire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "plane/act/farewell.h"
#include "plane/act/served.h"
#include "plane/bpf/own.h"
#include "plane/claim.h"
#include "plane/kernel/alive.h"
#include "plane/plane_front.h"
#include "util/macro.h"

static void set_aside(struct plane *plane, unsigned slot)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	if (plane_is_front(plane))
		front_set_taking(plane_front(plane), slot, false);
	for (size_t i = 0; i < n; i++)
		listener_set_aside(listeners[i], slot);
	paths_set_aside(plane_paths(plane), slot);
}

/* Whether another slot, or the park, listens there, too: else what waits would be lost, not moved.
 */
static bool has_other(const struct listener *listener, unsigned slot)
{
	uint64_t cookies[HS_SHARDS_MAX];

	return (listener_live_slots(listener) & ~(1U << slot)) ||
	       listener_sockets(listener, HS_SLOT_PARK, cookies);
}

/* The slot that takes over: the next ready one after `slot`, in a ring. */
static unsigned successor(uint32_t candidates, unsigned slot)
{
	uint32_t above = candidates & ~((2U << slot) - 1);

	return hs_lowest(above ? above : candidates);
}

/* False: it is not the active one. */
static bool leave(struct plane *plane, unsigned slot, uint32_t others)
{
	unsigned to = successor(others, slot);

	return plane_edit_word(plane, word_leave, WORD_ARGS(.from = slot, .to = to), NULL);
}

enum retire_answer retire_leave(struct plane *plane, unsigned slot, uint32_t allowed,
				unsigned *ret_to)
{
	uint32_t live = plane_live_slots(plane), others = live & ~(1U << slot);

	plane_set_retired(plane, slot, true);
	if (!(live & (1U << slot)))
		return RETIRE_NOT_HERE;
	if (!others)
		return RETIRE_LAST;
	if (others & allowed)
		others &= allowed;
	leave(plane, slot, others);
	/* also where somebody was killed before he had done it */
	plane_lead_paths(plane);
	set_aside(plane, slot);
	*ret_to = hs_word_active(plane_word(plane));
	return RETIRE_DONE;
}

bool retire_gone(struct plane *plane, unsigned slot, unsigned *ret_to)
{
	uint32_t others;

	if (plane_slot_sockets(plane, slot))
		return false;
	others = plane_live_slots(plane) & ~(1U << slot);
	if (!others || !leave(plane, slot, others))
		return false;
	*ret_to = hs_word_active(plane_word(plane));
	return true;
}

enum retire_answer retire_park(struct plane *plane, unsigned slot)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	if (!plane_has_park(plane))
		return RETIRE_LAST;
	/* where there is no park it stays as long as it can: refused is refused late enough */
	for (size_t i = 0; i < n; i++)
		if (has_other(listeners[i], slot))
			listener_set_aside(listeners[i], slot);
	return RETIRE_PARKED;
}

static void describe_done(enum retire_answer answer, const struct plane *plane, unsigned slot,
			  const struct retire_queues *queues, struct problem *ret_sentence)
{
	char unread[96] = "";

	if (queues->left.waiting == QUEUED_UNKNOWN)
		snprintf(unread, sizeof(unread),
			 "; whether somebody waits at its paths could not be asked");
	else if (queues->left.waiting)
		snprintf(unread, sizeof(unread),
			 "; %" PRIu64 " that wait at its paths were not accepted in time",
			 queues->left.waiting);
	else if (queues->left.unread)
		snprintf(unread, sizeof(unread),
			 "; about %" PRIu64 " bytes of datagrams were not read in time",
			 queues->left.unread);
	if (answer == RETIRE_PARKED)
		problem_set(ret_sentence, 0,
			    "%s: slot %u is retired and no other slot is ready: new connections "
			    "wait in the park until one is; %d waiting moved there%s.",
			    plane_service(plane), slot, MAX(queues->moved, 0), unread);
	else
		problem_set(ret_sentence, 0,
			    "%s: slot %u is retired, slot %u is active; %d waiting moved%s.",
			    plane_service(plane), slot, hs_word_active(plane_word(plane)),
			    MAX(queues->moved, 0), unread);
}

void retire_describe(enum retire_answer answer, const struct plane *plane, unsigned slot,
		     const struct retire_queues *queues, struct problem *ret_sentence)
{
	const char *service = plane_service(plane);

	if (answer == RETIRE_DONE || answer == RETIRE_PARKED)
		describe_done(answer, plane, slot, queues, ret_sentence);
	else if (answer == RETIRE_LAST)
		problem_set(ret_sentence, 0,
			    "%s: slot %u leaves and no other slot is ready: from its stop on "
			    "clients are refused until one is.",
			    service, slot);
	else
		problem_set(ret_sentence, 0, "%s: slot %u had no socket to retire.", service, slot);
}

int retire_keep_reach(struct plane *plane, unsigned slot, const char *cgroup,
		      struct problem *problem)
{
	struct own_place place = {.service_id = plane_id(plane), .slot = slot, .on = true};
	struct own *own = plane_own(plane);
	int r = own ? own_cgroup(own, cgroup, &place) : -ENOTSUP;

	if (r == -ENOTSUP)
		problem_set(problem, r,
			    "the kernel refuses the programs for that; see hsctl doctor");
	else if (r < 0)
		problem_set(problem, r, "cgroup %s: %s", cgroup, strerror(-r));
	return r;
}

static int bounce_socket(struct plane *plane, unsigned slot, const struct held_socket *held,
			 bool keep_in_map)
{
	struct listener *listener = plane_find(plane, &held->socket.address);
	_cleanup_(close_fdp) int fd = -1;
	int r = scan_borrow(held, &fd);

	if (r < 0)
		return r == -ESTALE ? 0 : r;
	if (!claim_is_ours(plane, fd))
		return 0;
	/* nothing may come between these two: a poller would see the hang-up */
	if (shutdown(fd, SHUT_RD) < 0 || listen(fd, held->socket.backlog) < 0)
		return -errno;
	if (keep_in_map)
		return listener_put(listener, slot, fd, held->socket.cookie);
	/* without either of these its commands, or its end, go wrong, and nobody's connection */
	if (!listener_put_aside(listener, slot, fd) && farewell_is_due(fd))
		(void)farewell(plane, listener, slot);
	return 0;
}

/* One that goes on serving takes back from the park what it would put there. */
static bool is_taken_over(const struct listener *listener, unsigned slot, bool keep_in_map)
{
	return keep_in_map ? listener_live_slots(listener) & ~(1U << slot)
			   : has_other(listener, slot);
}

int bounce(struct plane *plane, unsigned slot, const char *cgroup, bool keep_in_map)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	uint32_t queued = 0;
	size_t n;
	int r;

	r = served_sockets(plane, cgroup, &held, &n);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		struct listener *listener = plane_find(plane, &held[i].socket.address);

		/* datagrams cannot be moved; with an empty queue there is nothing to move, and an
		 * owner that waits for connections would notice */
		if (!held[i].socket.queued || held[i].socket.address.udp || !listener ||
		    !is_taken_over(listener, slot, keep_in_map))
			continue;
		queued += held[i].socket.queued;
		r = bounce_socket(plane, slot, &held[i], keep_in_map);
	}
	return r < 0 ? r : (int)queued;
}

static int count_unread(struct plane *plane, const char *cgroup, uint64_t *bytes)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	size_t n;
	int r = served_sockets(plane, cgroup, &held, &n);

	for (size_t i = 0; r >= 0 && i < n; i++)
		if (held[i].socket.address.udp && plane_find(plane, &held[i].socket.address))
			*bytes += held[i].socket.queued;
	return r < 0 ? r : 0;
}

int retire_look(struct plane *plane, unsigned slot, const char *cgroup,
		struct retire_left *ret_left)
{
	struct retire_left left = {0};
	uint64_t open[HS_SLOTS_MAX];
	uint32_t waiting;
	int r = plane_has_datagrams(plane) ? count_unread(plane, cgroup, &left.unread) : 0;

	if (r < 0)
		return r;
	left.waiting = paths_queued(plane_paths(plane), slot, &waiting) ? QUEUED_UNKNOWN : waiting;
	paths_connections(plane_paths(plane), open);
	left.open = slot < HS_SLOTS_MAX ? open[slot] : 0;
	left.at_work = plane_has_datagrams(plane) && !left.unread && alive_is_at_work(cgroup);
	*ret_left = left;
	return 0;
}

/* What is short is over by then, and a connection that stays is not waited for. */
#define OPEN_TIME (1 * USEC_PER_SEC)
/* So is what is done for one datagram, also where there are few CPUs for many. */
#define WORK_TIME (300 * USEC_PER_MSEC)

bool retire_loses(const struct retire_left *left)
{
	return left->unread || left->waiting;
}

bool retire_is_over(const struct retire_left *left, uint64_t waited_usec)
{
	return !retire_loses(left) && (!left->open || waited_usec >= OPEN_TIME) &&
	       (!left->at_work || waited_usec >= WORK_TIME);
}

bool retire_has_left(const struct plane *plane)
{
	return plane_has_datagrams(plane) || plane_paths(plane)->entries;
}
