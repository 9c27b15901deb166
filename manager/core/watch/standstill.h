/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether an instance that accepts nothing stands still, or is full. "Connections wait and none is
 * accepted" is true of both: of a server that is stuck, and of one whose workers are all busy, or
 * wait for clients that say nothing. Both may be left for another slot; but what is in work may be
 * ended by us only where it is proven that nothing goes on. Pure: it is told what is to be seen,
 * from time to time, and compares.
 *
 *  moves, runs  halted  accepted  unread  verdict
 *  -----------  ------  --------  ------  -----------------------------------------
 *  yes          any     any       any     works: its workers are busy
 *  no           held    any       any     held: whoever froze it lets it go on
 *  no           stopped any       any     stopped: a process of it cannot run
 *  no           no      none      -       stands: nothing to do, and nobody accepts
 *  no           no      some      some    stands: it was asked, and nobody reads it
 *  no           no      some      none    waits: for its clients, or somebody else
 *  no           no      unknown   -       waits, for all that can be told
 *
 * "Held": by a freezer or a debugger, which somebody has set upon it and ends again. "Stopped": by
 * a signal, which nobody may ever take back.
 *
 * "Unread" is a connection with data that nobody has begun to read, and none that is still to be
 * sent: whose client takes nothing may be what its worker waits for. A pause of the runtime looks
 * the same, and so may a request that is read as it is needed: that is why standing counts only
 * when it lasts.
 *
 * "Moves": it has read, written or closed, or a client has received something, since the time
 * before. "Ran": its control group has used CPU time. What clients send does not count, or they
 * could keep a server that is stuck from being restarted.
 *
 * Times are microseconds of one clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum halt { HALT_NONE, HALT_STOPPED, HALT_HELD };

struct standstill_sample {
	uint64_t now, due;	/* when it was to be looked; 0 = nothing was promised */
	bool connections_known; /* these three are set: see plane/bpf/motion.h */
	uint64_t accepted, unread, mark;
	bool cpu_known; /* where it is not, it may have run */
	uint64_t cpu;	/* used so far by its control group */
	enum halt halt; /* of any of its processes */
};

enum standstill_verdict {
	STANDSTILL_WORKS,
	STANDSTILL_WAITS,
	/* so far: see standstill_is_over() */
	STANDSTILL_STANDS,
	STANDSTILL_STOPPED,
	STANDSTILL_HELD,
};

struct standstill {
	bool begun;
	enum standstill_verdict verdict; /* by the last sample */
	enum halt halt;			 /* likewise, also of one that works otherwise */
	uint64_t since;			 /* the verdict is the same, and nothing has moved or run */
	uint64_t mark, cpu, looked;
};

/* What people are told of one that accepts nothing. */
enum standstill_kind {
	STANDSTILL_IS_FULL,   /* it is not proven to stand still */
	STANDSTILL_HANGS,     /* it stands still, or a process of it is stopped */
	STANDSTILL_IS_FROZEN, /* it is held */
};

/* Compares with the sample before. The first one proves nothing: as if it had worked. */
enum standstill_verdict standstill_step(struct standstill *standstill,
					const struct standstill_sample *sample);
enum standstill_kind standstill_kind(const struct standstill *standstill);
/* The verdict of the last sample has been the same for `window`, and nothing has moved or run. */
bool standstill_lasts(const struct standstill *standstill, uint64_t window);

struct standstill_limits {
	uint64_t stall;	   /* Stall= */
	uint64_t patience; /* for so long what is in work may stand still */
};
/* Whether, by the last sample, nothing more is to be hoped for from what it has in work: a process
 * has been stopped for `stall`, or it has stood still for both of them. */
bool standstill_is_over(const struct standstill *standstill,
			const struct standstill_limits *limits);
