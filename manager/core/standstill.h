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
 *  no           yes     any       any     stands: a process of it cannot run
 *  no           no      none      -       stands: nothing to do, and nobody accepts
 *  no           no      some      some    stands: it was asked, and nobody reads it
 *  no           no      some      none    waits: for its clients, or somebody else
 *  no           no      unknown   -       waits, for all that can be told
 *
 * "Unread" is a connection with data that nobody has read, and none that is still to be sent: whose
 * client takes nothing may be what its worker waits for.
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

struct standstill_sample {
	uint64_t now, due;	/* when it was to be looked; 0 = nothing was promised */
	bool connections_known; /* these three are set: see plane/motion.h */
	uint64_t accepted, unread, mark;
	bool cpu_known; /* where it is not, it may have run */
	uint64_t cpu;	/* used so far by its control group */
	bool halted;
};

enum standstill_verdict {
	STANDSTILL_WORKS,
	STANDSTILL_WAITS,
	STANDSTILL_STANDS, /* so far: see standstill_proven() */
};

struct standstill {
	bool begun;
	enum standstill_verdict verdict; /* by the last sample */
	uint64_t since;			 /* the verdict is the same, and nothing has moved or run */
	uint64_t mark, cpu, looked;
};

/* Compares with the sample before. The first one proves nothing: as if it had worked. */
enum standstill_verdict standstill_step(struct standstill *standstill,
					const struct standstill_sample *sample);
/* The verdict of the last sample has been the same for `window`, and nothing has moved or run. */
bool standstill_lasts(const struct standstill *standstill, uint64_t window);
/* It has stood still for `window`, by the last sample. */
bool standstill_proven(const struct standstill *standstill, uint64_t window);
