// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/settling.h"

#include "service/slot/states.h"
#include "util/clock.h"
#include "util/macro.h"

#define SETTLED_AFTER (10 * USEC_PER_SEC)

/* When; USEC_INFINITY: not as things are. */
static uint64_t settled_at(const struct instance *instance)
{
	const struct unit_facts *facts = instance_facts(instance);

	if (facts->state != UNIT_RUNNING ||
	    !plane_slot_sockets(instance->service->plane, instance->slot))
		return USEC_INFINITY;
	return MAX(facts->ready_usec, instance->ready_since) + SETTLED_AFTER;
}

bool settling_is_over(const struct instance *instance)
{
	return settled_at(instance) <= now_usec();
}

static bool is_at_rest(const struct instance *instance)
{
	enum unit_state state = instance_facts(instance)->state;

	return (state == UNIT_DOWN || state == UNIT_FAILED) &&
	       !instance_facts(instance)->job_pending;
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *service = userdata;

	(void)source;
	(void)usec;
	service->settling = sd_event_source_disable_unref(service->settling);
	settling_follow(service);
	return 0;
}

void settling_follow(struct service *service)
{
	uint64_t due = 0;

	service->settling = sd_event_source_disable_unref(service->settling);
	if (!service->plane || !service->force || !service_is_known(service))
		return;
	for (unsigned i = 0; i < service->n_slots; i++)
		if (!is_at_rest(service->instances[i]))
			due = MAX(due, settled_at(service->instances[i]));
	if (!due || due == USEC_INFINITY)
		return;
	if (due <= now_usec())
		force_keep_addresses(service->force, service->plane, service->config.ports,
				     service->config.n_ports);
	else
		sd_event_add_time(service->host->event, &service->settling, CLOCK_MONOTONIC, due,
				  USEC_PER_SEC, on_due, service);
}

void settling_done(struct service *service)
{
	service->settling = sd_event_source_disable_unref(service->settling);
}

void settling_heard(struct service *service, const struct event *event)
{
	(void)event;
	settling_follow(service);
}
