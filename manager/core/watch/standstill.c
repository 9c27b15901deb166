// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/watch/standstill.h"

#include "core/watch/stall.h"
#include "util/macro.h"

/* Housekeeping of a runtime is no work: less than this part of the time. */
#define CPU_PART 1000

static bool has_moved(const struct standstill *standstill, const struct standstill_sample *sample)
{
	uint64_t passed = sample->now - standstill->since;

	if (!standstill->begun || !sample->cpu_known)
		return true;
	if (sample->connections_known && sample->mark != standstill->mark)
		return true;
	return sample->cpu < standstill->cpu || (sample->cpu - standstill->cpu) * CPU_PART > passed;
}

static enum standstill_verdict judge(const struct standstill_sample *sample)
{
	if (sample->halt == HALT_HELD)
		return STANDSTILL_HELD;
	if (sample->halt == HALT_STOPPED)
		return STANDSTILL_STOPPED;
	if (!sample->connections_known)
		return STANDSTILL_WAITS;
	return !sample->accepted || sample->unread ? STANDSTILL_STANDS : STANDSTILL_WAITS;
}

/* A time in which nobody looked does not count: whoever kept us from it has kept the instance from
 * running, too. See core/watch/stall.h. */
static void leave_out_unseen(struct standstill *standstill, const struct standstill_sample *sample)
{
	standstill->since =
		MIN(standstill->since + stall_unseen(sample->now, sample->due), sample->now);
}

/* Of one that has worked: since then. Else it is so only now: the unread data has come, say, or it
 * was stopped just now. */
static bool is_new(const struct standstill *standstill, enum standstill_verdict verdict)
{
	return standstill->verdict != STANDSTILL_WORKS && standstill->verdict != verdict;
}

enum standstill_verdict standstill_step(struct standstill *standstill,
					const struct standstill_sample *sample)
{
	bool moved;
	enum standstill_verdict verdict;

	leave_out_unseen(standstill, sample);
	moved = has_moved(standstill, sample);
	verdict = moved ? STANDSTILL_WORKS : judge(sample);
	if (moved || is_new(standstill, verdict)) {
		standstill->since = sample->now;
		standstill->mark = sample->mark;
		standstill->cpu = sample->cpu;
	}
	standstill->begun = true;
	standstill->looked = sample->now;
	standstill->verdict = verdict;
	standstill->halt = sample->halt;
	return verdict;
}

enum standstill_kind standstill_kind(const struct standstill *standstill)
{
	if (standstill->verdict == STANDSTILL_HELD)
		return STANDSTILL_IS_FROZEN;
	if (standstill->verdict == STANDSTILL_STANDS || standstill->halt == HALT_STOPPED)
		return STANDSTILL_HANGS;
	return STANDSTILL_IS_FULL;
}

bool standstill_lasts(const struct standstill *standstill, uint64_t window)
{
	return standstill->begun && standstill->looked - standstill->since >= window;
}

bool standstill_is_over(const struct standstill *standstill, const struct standstill_limits *limits)
{
	switch (standstill->verdict) {
	case STANDSTILL_STOPPED:
		return standstill_lasts(standstill, limits->stall);
	case STANDSTILL_STANDS:
		return standstill_lasts(standstill, MAX(limits->stall, limits->patience));
	default:
		return false;
	}
}
