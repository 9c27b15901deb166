// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/turns.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/macro.h"

/* Meanwhile nobody else is heard. Shorter ones nobody notices. */
#define LONG_USEC (10 * USEC_PER_MSEC)

struct moment {
	uint64_t now;	 /* usec, CLOCK_MONOTONIC */
	uint64_t waited; /* usec, for a CPU, so far */
};

/* `schedstat` -1: what was waited is not asked for. */
static struct moment look(int schedstat)
{
	struct moment moment = {.now = now_usec()};
	uint64_t waited_nsec;
	char text[128];
	ssize_t n = schedstat < 0 ? 0 : pread(schedstat, text, sizeof(text) - 1, 0);

	/* Documentation/scheduler/sched-stats.rst: time on the CPU, then on a runqueue, both in ns
	 */
	text[MAX(n, 0)] = '\0';
	if (sscanf(text, "%*u %" SCNu64, &waited_nsec) == 1)
		moment.waited = waited_nsec / NSEC_PER_USEC;
	return moment;
}

static void tell_turn(const struct moment *begun, const struct moment *ended)
{
	uint64_t waited = ended->waited - begun->waited;
	uint64_t took = ended->now - begun->now - MIN(waited, ended->now - begun->now);

	if (took >= LONG_USEC)
		fprintf(stderr,
			"a turn of the loop took %" PRIu64 " us, without %" PRIu64
			" us of waiting for a CPU\n",
			took, waited);
}

static int turn(sd_event *event, int schedstat, struct turns *turns)
{
	struct moment begun = look(schedstat), ended;
	int r = sd_event_dispatch(event);

	ended = look(schedstat);
	turns->n++;
	turns->busy_usec += ended.now - begun.now;
	turns->longest_usec = MAX(turns->longest_usec, ended.now - begun.now);
	if (schedstat >= 0)
		tell_turn(&begun, &ended);
	return r;
}

int turns_loop(sd_event *event, bool tell, struct turns *turns)
{
	_cleanup_(close_fdp) int schedstat =
		tell ? open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC) : -1;
	int code = 0, r = 0;

	while (r >= 0 && sd_event_get_state(event) != SD_EVENT_FINISHED) {
		r = sd_event_prepare(event);
		if (!r)
			r = sd_event_wait(event, UINT64_MAX);
		if (r > 0)
			r = turn(event, schedstat, turns);
	}
	if (r >= 0)
		r = sd_event_get_exit_code(event, &code);
	return r < 0 ? r : code;
}
