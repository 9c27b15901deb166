// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/standstill.h"

#include "core/stall.h"

/* Housekeeping of a runtime is no work: less than this part of the time. */
#define CPU_PART 1000

static bool has_moved(const struct standstill *standstill, const struct standstill_sample *sample)
{
	uint64_t passed = sample->now - standstill->since;

	if (!standstill->begun || !sample->cpu_known)
		return true;
	/* nobody was there to see: see core/stall.h */
	if (sample->due && sample->now > sample->due + STALL_LATE_MAX)
		return true;
	if (sample->connections_known && sample->mark != standstill->mark)
		return true;
	return sample->cpu < standstill->cpu || (sample->cpu - standstill->cpu) * CPU_PART > passed;
}

static enum standstill_verdict judge(const struct standstill_sample *sample)
{
	if (sample->halted)
		return STANDSTILL_STANDS;
	if (!sample->connections_known)
		return STANDSTILL_WAITS;
	return !sample->accepted || sample->unread ? STANDSTILL_STANDS : STANDSTILL_WAITS;
}

enum standstill_verdict standstill_step(struct standstill *standstill,
					const struct standstill_sample *sample)
{
	bool moved = has_moved(standstill, sample);
	enum standstill_verdict verdict = moved ? STANDSTILL_WORKS : judge(sample);

	if (moved) {
		standstill->since = sample->now;
		standstill->mark = sample->mark;
		standstill->cpu = sample->cpu;
	} else if (standstill->verdict == STANDSTILL_WAITS && verdict == STANDSTILL_STANDS) {
		/* the unread data has come just now, or it was halted just now */
		standstill->since = sample->now;
		standstill->cpu = sample->cpu;
	}
	standstill->begun = true;
	standstill->looked = sample->now;
	standstill->verdict = verdict;
	return verdict;
}

bool standstill_lasts(const struct standstill *standstill, uint64_t window)
{
	return standstill->begun && standstill->looked - standstill->since >= window;
}

bool standstill_proven(const struct standstill *standstill, uint64_t window)
{
	return standstill->verdict == STANDSTILL_STANDS && standstill_lasts(standstill, window);
}
