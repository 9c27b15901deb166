// SPDX-License-Identifier: GPL-2.0-or-later
#include "probes.h"

#include <stdlib.h>

#include "../plane/rig.h"
#include "nth.h"
#include "util/macro.h"

#define ANSWER_AFTER (1 * USEC_PER_MSEC)

struct prober {
	sd_event *event;
	const uint32_t *ill;
	unsigned running;
};

struct probe_run {
	struct prober *prober;
	sd_event_source *timer;
	unsigned slot;
	probe_fn on_end;
	void *userdata;
};

/* For the engine, but no call of its: never fails. */
static void *alloc(size_t size)
{
	bool inside = nth_pause();
	void *p = calloc(1, size);

	rig_check(p);
	nth_resume(inside);
	return p;
}

struct prober *probes_new(sd_event *event, const uint32_t *ill)
{
	struct prober *prober = alloc(sizeof(*prober));

	*prober = (struct prober) {event, ill, 0};
	return prober;
}

void probes_free(struct prober *prober)
{
	rig_check(!prober->running);
	free(prober);
}

static int on_answer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct probe_run *run = userdata;
	bool ill = *run->prober->ill >> run->slot & 1;
	struct probe_result result = {.verdict = ill ? PROBE_BAD : PROBE_GOOD};
	probe_fn on_end = run->on_end;
	void *its = run->userdata;

	(void)source;
	(void)usec;
	problem_set(&result.words, 0, "%s", ill ? "it says that it is ill" : "");
	probe_run_free(run);
	on_end(&result, its);
	return 0;
}

/* ---- system/probe/prober.h ---- */

int prober_start(struct prober *prober, const struct probe_target *target, probe_fn on_end,
		 void *userdata, struct probe_run **ret_run)
{
	struct probe_run *run;
	bool inside;

	if (nth_fails("prober_start", __builtin_return_address(0)))
		return -ENOMEM;
	rig_check(!target->is_connected);
	run = alloc(sizeof(*run));
	*run = (struct probe_run) {prober, NULL, target->slot, on_end, userdata};
	inside = nth_pause();
	rig_check(sd_event_add_time_relative(prober->event, &run->timer, CLOCK_MONOTONIC,
					     ANSWER_AFTER, 1, on_answer, run) >= 0);
	nth_resume(inside);
	prober->running++;
	*ret_run = run;
	return 0;
}

void prober_end(struct prober *prober, const struct plane *plane)
{
	(void)prober;
	(void)plane;
}

struct probe_run *probe_run_free(struct probe_run *run)
{
	if (!run)
		return NULL;
	run->prober->running--;
	sd_event_source_disable_unref(run->timer);
	free(run);
	return NULL;
}
