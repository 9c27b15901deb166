/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a slot hangs: connections wait for accept(2) and nobody accepts. Pure: it is told what
 * the kernel shows, from time to time, and judges. A server that is merely slow is never judged to
 * hang: each verdict is proven, in one of three ways.
 *
 * - By the head, where the kernel tells who is the first in the queue of each socket. A queue is
 *   served in order, so as long as the same one is the first, nobody has accepted from it. A slot
 *   hangs when this is so of one socket, and no other was seen to accept since, or nobody waits
 *   there: one that serves its sockets by turns, each too seldom, is only slow. Exact, whatever
 *   comes meanwhile; where it is known, the other two are not needed. At an AF_UNIX socket a first
 *   one that gives up has no name any more; there the whole queue is told, see line.h.
 * - By the count. What a slot has accepted so far is what it was given less what waits now. If that
 *   is what it was before, nobody has accepted anything in between, however little is seen.
 * - By name. One socket of several may be stuck while the others serve, or nothing is counted. If
 *   all that waits is on one socket, who waits is written down; a queue is served in order, so as
 *   long as all of them still wait, nobody has accepted from it.
 *
 * Time counts only while we look: of a look that comes much later than it was due, the time that it
 * is late is left out. Whoever kept us from running (a machine that was suspended, a container that
 * was frozen, others that need the CPUs) has kept the server from accepting, too.
 *
 * Times are microseconds of one clock. All is per slot.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/watch/line.h"
#include "util/macro.h"

/* A look may be later than it was due by this much: it is no more than a busy machine. */
#define STALL_LATE_MAX (100 * USEC_PER_MSEC)

/* How much of the time up to a look at `now` is left out. `due`: when it was to come; 0 = nothing
 * was promised. */
uint64_t stall_unseen(uint64_t now, uint64_t due);

/* One socket on which somebody waits. */
struct stall_queue {
	uint64_t socket; /* by cookie */
	uint64_t head;	 /* names who is the first; 0 = not known, as that changes just now */
	uint32_t queued;
	const struct line *line; /* all who wait: `head` is not looked at. NULL: not told */
};

/* Connections that wait, by cookie. */
struct stall_names {
	uint64_t *cookies; /* ascending */
	size_t n;
};

struct stall_sample {
	uint64_t now;
	/* when this look was to come; 0 = nothing was promised */
	uint64_t due;
	/* the sockets on which somebody waits are known, with who is the first; `sole`,
	 * `watched_queued` and `oldest_age` are not needed then */
	bool heads_known;
	const struct stall_queue *queues;
	size_t n_queues;
	/* which sockets the slot has: another number when they are others */
	uint64_t sockets_mark;
	/* connections that wait for accept(2) on all its sockets */
	uint32_t queued;
	/* the one socket that has a queue, by cookie; 0 = several have, or none */
	uint64_t sole;
	/* what waits on the socket that stall_watched() names; 0 = no such socket */
	uint32_t watched_queued;
	/* how long the oldest one has waited; 0 = not asked for */
	uint64_t oldest_age;
	/* connections are counted: the three below are set */
	bool counted;
	/* what the slot was given (opened + moved_in - moved_out) before the queue was looked at,
	 * and after it */
	uint64_t given_before, given_after;
	/* moves to the slot, of any kind: those that end while they wait are not among the given */
	uint64_t migrated_in;
};

enum stall_verdict {
	STALL_FINE,    /* nobody waits, or they are accepted */
	STALL_WAITING, /* somebody waits, and nobody was seen to accept since */
	STALL_STALLED,
};

struct stall_evidence {
	uint32_t queued;
	uint64_t waited;      /* for so long nobody has accepted although somebody waited */
	uint64_t last_accept; /* so long ago was the last one seen; 0 = none was seen */
	bool one_socket;      /* the others of the slot serve */
	/* that is not more may be for want of a proof: nobody was seen to accept for long */
	bool unproven;
};

/* At `since` it was already the first in the queue of this socket, and the slot had accepted at
 * most so many. */
struct stall_head {
	uint64_t socket, head, since, accepted;
	bool seems; /* that nobody was accepted all that time is not proven by names alone */
	struct line line;
};

struct stall {
	uint64_t sockets_mark;
	bool begun; /* there was a sample of these sockets */

	/* by the count: at `anchor_time` at least `anchor_accepted` had been accepted */
	bool anchored;
	uint64_t anchor_time, anchor_accepted, migrated_in;
	uint64_t nonempty_since; /* 0 = the queue was empty when it was looked at last */

	/* by the head */
	struct stall_head *heads;
	size_t n_heads;
	uint64_t head_gone; /* when one was seen to be accepted, */
	uint64_t head_lost; /* or may have been */
	uint64_t looked;    /* when it was looked last */
	uint64_t brief;	    /* when a client was seen that gives up at once; 0 = none was */

	/* by name */
	uint64_t watched; /* cookie of the socket; 0 = none */
	uint32_t watched_queued;
	uint64_t named_time, checked_time;
	struct stall_names names;

	uint64_t last_accept; /* 0 = none was seen */
	struct stall_evidence evidence;
};

/* What follows from a sample. */
struct stall_answer {
	enum stall_verdict verdict;
	/* look again at this time; USEC_INFINITY = there is no need to hurry */
	uint64_t wake;
	/* who waits is to be told to stall_name() or stall_check() */
	enum { STALL_ASK_NOTHING, STALL_ASK_NAMES, STALL_ASK_CHECK } ask;
};

void stall_done(struct stall *stall);

/* The socket whose queue is watched by name, by cookie; 0 = none. */
uint64_t stall_watched(const struct stall *stall);

/* `window`: how long nobody may accept. */
struct stall_answer stall_step(struct stall *stall, const struct stall_sample *sample,
			       uint64_t window);

/*
 * The answers to `ask`. `names`: those who waited on the sole socket at `now`, after the sample was
 * taken, which are taken over (malloc). Empty ones end the watch by name.
 */
void stall_name(struct stall *stall, uint64_t socket, uint64_t now, struct stall_names *names);
/* Of the same socket, later; more than those of that socket is no harm. True: this slot hangs. */
bool stall_check(struct stall *stall, uint64_t now, const struct stall_names *names,
		 uint64_t window);
