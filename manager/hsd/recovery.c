// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/recovery.h"

#include "plane/alive.h"
#include "plane/nudge.h"
#include "util/macro.h"

/* A round: how often the processes go to sleep by themselves in this time, and how often when they
 * were woken before. Other threads may do so just then, but not each time. */
#define STEP	    (5 * USEC_PER_MSEC)
#define ROUNDS	    5
#define BETWEEN	    (50 * USEC_PER_MSEC)
#define AFTER_FAULT (500 * USEC_PER_MSEC)

struct recovery {
	struct instance *instance;
	recovery_fn on_recovered;
	void *userdata;
	sd_event_source *timer;
	enum { BEGIN, WAKE, COMPARE } step;
	uint64_t before, undisturbed;
	unsigned good; /* rounds in a row */
};

DEFINE_CLEANUP(struct recovery, recovery_free)

struct recovery *recovery_free(struct recovery *recovery)
{
	if (!recovery)
		return NULL;
	sd_event_source_disable_unref(recovery->timer);
	free(recovery);
	return NULL;
}

/* Returns when to go on, relative; 0 = it has come back. */
static uint64_t take_step(struct recovery *recovery)
{
	const char *cgroup = instance_facts(recovery->instance)->control_group;
	uint64_t sleeps;

	if (alive_sleeps(cgroup, &sleeps) < 0) {
		recovery->step = BEGIN;
		return AFTER_FAULT;
	}
	switch (recovery->step++) {
	case BEGIN:
		recovery->before = sleeps;
		return STEP;
	case WAKE:
		recovery->undisturbed = sleeps - recovery->before;
		recovery->before = sleeps;
		nudge_all(recovery->instance->service->plane, cgroup);
		return STEP;
	default:
		recovery->step = BEGIN;
	}
	recovery->good = sleeps - recovery->before > recovery->undisturbed ? recovery->good + 1 : 0;
	if (recovery->good == ROUNDS)
		return 0;
	return recovery->good ? BETWEEN : AFTER_FAULT;
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct recovery *recovery = userdata;
	uint64_t after = take_step(recovery);

	(void)usec;
	if (!after) {
		recovery->on_recovered(recovery->userdata);
		return 0;
	}
	sd_event_source_set_time_relative(source, after);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int recovery_new(struct instance *instance, recovery_fn on_recovered, void *userdata,
		 struct recovery **ret_recovery)
{
	_cleanup_(recovery_freep) struct recovery *recovery = calloc(1, sizeof(*recovery));
	int r;

	if (!recovery)
		return -ENOMEM;
	recovery->instance = instance;
	recovery->on_recovered = on_recovered;
	recovery->userdata = userdata;
	r = sd_event_add_time_relative(instance->service->context->event, &recovery->timer,
				       CLOCK_MONOTONIC, AFTER_FAULT, USEC_PER_MSEC, on_due,
				       recovery);
	if (r < 0)
		return r;
	*ret_recovery = steal_ptr(&recovery);
	return 0;
}
