// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/reaching.h"

#include <string.h>

#include "plane/bpf/own.h"
#include "plane/kernel/cgroup.h"
#include "service/slot/orders.h"
#include "util/clock.h"
#include "util/macro.h"

/* That a UDP socket was bound is not told: it is looked for, less and less often. */
#define LOOK_FIRST (50 * USEC_PER_MSEC)
#define LOOK_LAST  (1 * USEC_PER_SEC)

static bool is_starting(const struct instance *instance)
{
	return instance_facts(instance)->state == UNIT_STARTING && instance->service->plane;
}

/* ---- its sockets ---- */

static void look(struct instance *instance);

static void on_reached(struct work_answer *answer, void *userdata)
{
	struct instance *instance = userdata;

	(void)answer;
	instance->reach_work = NULL;
	/* it has opened others meanwhile */
	if (instance->reach_again)
		look(instance);
}

static void look(struct instance *instance)
{
	struct work_order order = {.kind = WORK_EARLY};

	instance->reach_again = instance->reach_work && is_starting(instance);
	if (!instance->reach_work && is_starting(instance))
		instance_order(instance, &order, on_reached, instance, &instance->reach_work);
}

bool reaching_heard(struct instance *instance, uint64_t cgroup_id)
{
	if (!is_starting(instance) ||
	    (cgroup_id && !cgroup_contains(instance_facts(instance)->control_group, cgroup_id)))
		return false;
	look(instance);
	return true;
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	(void)source;
	(void)usec;
	if (!is_starting(instance))
		return 0;
	look(instance);
	instance->reach_delay = MIN(2 * instance->reach_delay, LOOK_LAST);
	sd_event_source_set_time_relative(instance->reach_source, instance->reach_delay);
	return sd_event_source_set_enabled(instance->reach_source, SD_EVENT_ONESHOT);
}

static void look_for_datagrams(struct instance *instance)
{
	if (!is_starting(instance) || !plane_has_datagrams(instance->service->plane)) {
		instance->reach_source = sd_event_source_disable_unref(instance->reach_source);
		return;
	}
	if (instance->reach_source)
		return;
	instance->reach_delay = LOOK_FIRST;
	sd_event_add_time_relative(instance->service->host->event, &instance->reach_source,
				   CLOCK_MONOTONIC, LOOK_FIRST, USEC_PER_MSEC, on_look, instance);
}

/* ---- Self= ---- */

static void follow_self(struct instance *instance)
{
	const struct unit_facts *facts = instance_facts(instance);
	struct service *service = instance->service;
	struct own *own = service->plane ? plane_own(service->plane) : NULL;
	struct own_place place = {
		.slot = instance->slot,
		.on = facts->state != UNIT_RUNNING || service->config.self == SELF_OWN,
	};

	/* it is on from the preparation of each run */
	if (!own || !facts->control_group[0] ||
	    (place.on && strcmp(instance->apart_run, facts->invocation)))
		return;
	place.service_id = plane_id(service->plane);
	(void)own_cgroup(own, facts->control_group, &place);
	snprintf(instance->apart_run, sizeof(instance->apart_run), "%s",
		 place.on ? "" : facts->invocation);
}

void reaching_follow(struct instance *instance)
{
	if (instance->service->plane)
		look_for_datagrams(instance);
	follow_self(instance);
}

void reaching_done(struct instance *instance)
{
	instance->reach_source = sd_event_source_disable_unref(instance->reach_source);
	work_forget(instance->reach_work);
}
