/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "util/macro.h"

static uint64_t now_by(clockid_t clock)
{
	struct timespec now;

	/* cannot fail: the clock exists on every kernel and the address is ours */
	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t now_nsec(void)
{
	return now_by(CLOCK_MONOTONIC);
}

uint64_t now_coarse_nsec(void)
{
	return now_by(CLOCK_MONOTONIC_COARSE);
}

uint64_t now_usec(void)
{
	return now_nsec() / NSEC_PER_USEC;
}

uint64_t now_real_usec(void)
{
	return now_by(CLOCK_REALTIME) / NSEC_PER_USEC;
}

uint64_t cpu_usec(void)
{
	return now_by(CLOCK_PROCESS_CPUTIME_ID) / NSEC_PER_USEC;
}

/* "51.2ms", "50ms": a number of tenths with its unit, the tenth left out where it is 0. */
static void format_tenths(uint64_t tenths, const char *unit, char *text, size_t size)
{
	if (tenths % 10)
		snprintf(text, size, "%" PRIu64 ".%" PRIu64 "%s", tenths / 10, tenths % 10, unit);
	else
		snprintf(text, size, "%" PRIu64 "%s", tenths / 10, unit);
}

/* "2min 5s": the larger unit, and the smaller one where it is not 0. */
static void format_pair(const uint64_t values[2], const char *const units[2], char *text,
			size_t size)
{
	if (values[1])
		snprintf(text, size, "%" PRIu64 "%s %" PRIu64 "%s", values[0], units[0], values[1],
			 units[1]);
	else
		snprintf(text, size, "%" PRIu64 "%s", values[0], units[0]);
}

const char *span_format(uint64_t usec, char *text, size_t size)
{
	uint64_t seconds = usec / USEC_PER_SEC + (usec % USEC_PER_SEC >= USEC_PER_SEC / 2);
	uint64_t minutes = seconds / 60, hours = minutes / 60;

	if (usec == USEC_INFINITY)
		snprintf(text, size, "infinity");
	else if (usec == 0)
		snprintf(text, size, "0");
	else if (usec < 1000)
		snprintf(text, size, "%" PRIu64 "us", usec);
	else if (usec < 999950) /* what rounds to less than 1000.0ms */
		format_tenths((usec + 50) / 100, "ms", text, size);
	else if (usec < 59950000) /* what rounds to less than 60.0s */
		format_tenths((usec + 50000) / 100000, "s", text, size);
	else if (minutes < 60)
		format_pair((uint64_t[]) {minutes, seconds % 60}, (const char *[]) {"min", "s"},
			    text, size);
	else if (hours < 24)
		format_pair((uint64_t[]) {hours, minutes % 60}, (const char *[]) {"h", "min"}, text,
			    size);
	else
		format_pair((uint64_t[]) {hours / 24, hours % 24}, (const char *[]) {"d", "h"},
			    text, size);
	return text;
}
