/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a slot hangs: connections wait for accept(2) and nobody accepts. Pure: it is told what
 * the kernel shows, from time to time, and judges. A server that is merely slow is never judged to
 * hang: each verdict is proven, in one of two ways.
 *
 * - By the count. What a slot has accepted so far is what it was given less what waits now. If that
 *   is what it was before, nobody has accepted anything in between, however little is seen.
 * - By name. One socket of several may be stuck while the others serve, or nothing is counted. If
 *   all that waits is on one socket, who waits is written down; a queue is served in order, so as
 *   long as all of them still wait, nobody has accepted from it.
 *
 * Times are microseconds of one clock. All is per slot.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Connections that wait, by cookie. */
struct stall_names {
	uint64_t *cookies; /* ascending */
	size_t n;
};

struct stall_sample {
	uint64_t now;
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
};

struct stall {
	uint64_t sockets_mark;
	bool begun; /* there was a sample of these sockets */

	/* by the count: at `anchor_time` at least `anchor_accepted` had been accepted */
	bool anchored;
	uint64_t anchor_time, anchor_accepted, migrated_in;
	uint64_t nonempty_since; /* 0 = the queue was empty when it was looked at last */

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
