// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/front_facts.h"

#include "plane/plane_front.h"

bool service_is_front(const struct service *service)
{
	return config_is_front(&service->config.front);
}

bool front_slot_is_given(const struct service *service, unsigned slot)
{
	return slot < HS_SLOTS_MAX && service->config.front.hosts[slot].given;
}

unsigned front_slot_probes(const struct service *service, unsigned slot)
{
	return config_front_leads(&service->config.front, slot) ? service->config.health.n_probes
								: 0;
}

bool front_slot_is_asked(const struct service *service, unsigned slot)
{
	return front_slot_probes(service, slot) || service->config.front.agent_port;
}

bool front_is_asked(const struct service *service)
{
	for (unsigned slot = 0; slot < service->n_slots; slot++)
		if (front_slot_is_given(service, slot) && !front_slot_is_asked(service, slot))
			return false;
	return true;
}

/* Where nothing is asked, that its address answers to the kernel is all that is known. */
enum health_state front_slot_health(const struct service *service, unsigned slot)
{
	struct front_host_view view;

	if (front_slot_is_asked(service, slot))
		return service->verdicts[slot].state;
	if (!plane_is_front(service->plane) ||
	    !front_host(plane_front(service->plane), slot, &view))
		return HEALTH_UNKNOWN;
	return view.reached ? HEALTH_GOOD : HEALTH_BAD;
}

bool front_slot_takes(const struct service *service, unsigned slot)
{
	return service->plane && plane_is_front(service->plane) &&
	       plane_slot_sockets(service->plane, slot);
}

bool front_slot_is_kept(const struct service *service, unsigned slot)
{
	return service->plane && plane_is_front(service->plane) && slot < HS_SLOTS_MAX &&
	       front_kept(plane_front(service->plane)) >> slot & 1;
}

enum unit_state front_slot_unit(const struct service *service, unsigned slot)
{
	if (!front_slot_is_given(service, slot))
		return UNIT_DOWN;
	switch (service->plane ? front_slot_health(service, slot) : HEALTH_UNKNOWN) {
	case HEALTH_GOOD:
		return UNIT_RUNNING;
	case HEALTH_BAD:
		return UNIT_DOWN;
	default:
		/* what the hsd before has found holds until it is asked again */
		return front_slot_takes(service, slot) || plane_is_retired(service->plane, slot)
			       ? UNIT_RUNNING
			       : UNIT_UNKNOWN;
	}
}
