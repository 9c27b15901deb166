// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/failover/recovery.h"

#include "service/failover/tasting.h"
#include "service/slot/orders.h"
#include "util/macro.h"

/* A round: whether the processes go to sleep more often when they were woken than by themselves
 * (system/work/work.h). Other threads may do so just then, but not each time. */
#define ROUNDS	    3
#define BETWEEN	    (50 * USEC_PER_MSEC)
#define AFTER_FAULT (500 * USEC_PER_MSEC)

struct recovery {
	struct instance *instance;
	recovery_fn on_recovered;
	void *userdata;
	sd_event_source *timer;
	struct work *work;
	unsigned good; /* rounds in a row */
	struct tasting *tasting;
};

DEFINE_CLEANUP(struct recovery, recovery_free)

struct recovery *recovery_free(struct recovery *recovery)
{
	if (!recovery)
		return NULL;
	sd_event_source_disable_unref(recovery->timer);
	work_forget(recovery->work);
	tasting_free(recovery->tasting);
	free(recovery);
	return NULL;
}

static void again_after(struct recovery *recovery, uint64_t usec)
{
	sd_event_source_set_time_relative(recovery->timer, usec);
	sd_event_source_set_enabled(recovery->timer, SD_EVENT_ONESHOT);
}

static void on_accepted(void *userdata)
{
	struct recovery *recovery = userdata;

	recovery->tasting = tasting_free(recovery->tasting);
	recovery->on_recovered(recovery->userdata);
}

/* It wakes; now it is to accept. */
static void taste(struct recovery *recovery)
{
	if (tasting_new(recovery->instance->service, recovery->instance->slot, on_accepted,
			recovery, &recovery->tasting) < 0) {
		recovery->good = 0;
		again_after(recovery, AFTER_FAULT);
	}
}

static void on_round(struct work_answer *answer, void *userdata)
{
	struct recovery *recovery = userdata;

	recovery->work = NULL;
	recovery->good = answer->result > 0 ? recovery->good + 1 : 0;
	if (recovery->good == ROUNDS)
		taste(recovery);
	else
		again_after(recovery, recovery->good ? BETWEEN : AFTER_FAULT);
}

/* What waits at a path is moved nowhere: when nobody waits any more it has been accepted. */
static bool is_waited_for(const struct recovery *recovery)
{
	const struct instance *instance = recovery->instance;
	uint32_t queued;

	return paths_queued(plane_paths(instance->service->plane), instance->slot, &queued) ||
	       queued;
}

static bool has_paths_only(const struct recovery *recovery)
{
	const struct plane *plane = recovery->instance->service->plane;
	size_t n;

	plane_listeners(plane, &n);
	return plane_paths(plane)->entries && !n;
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct recovery *recovery = userdata;
	struct work_order order = {.kind = WORK_AWAKE};

	(void)source;
	(void)usec;
	if (is_waited_for(recovery))
		again_after(recovery, AFTER_FAULT);
	else if (has_paths_only(recovery))
		recovery->on_recovered(recovery->userdata);
	else if (instance_order(recovery->instance, &order, on_round, recovery, &recovery->work) <
		 0)
		again_after(recovery, AFTER_FAULT);
	return 0;
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
	r = sd_event_add_time_relative(instance->service->host->event, &recovery->timer,
				       CLOCK_MONOTONIC, AFTER_FAULT, USEC_PER_MSEC, on_due,
				       recovery);
	if (r < 0)
		return r;
	*ret_recovery = steal_ptr(&recovery);
	return 0;
}
