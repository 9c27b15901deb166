// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/states.h"

#include "service/slot/front_facts.h"
#include "service/slot/instance.h"

static bool lacks_listener(const struct service *service, unsigned slot)
{
	unsigned active = hs_word_active(plane_word(service->plane));

	if (slot == active || active >= service->n_slots)
		return false;
	return plane_is_missing(service->plane, slot, active);
}

bool service_is_known(const struct service *service)
{
	for (unsigned i = 0; i < service->n_slots && !service_is_front(service); i++)
		if (!service->instances[i]->known)
			return false;
	return true;
}

static bool may_start(const struct instance *instance)
{
	return instance_facts(instance)->state != UNIT_DOWN ||
	       instance_facts(instance)->job_pending || instance->restart_source ||
	       instance->restart_job;
}

bool service_is_put_down(const struct service *service)
{
	bool asked = false, unasked = false, activated = false;

	if (!service_is_known(service) || service_busy(service) < SERVICE_DRAIN)
		return false;
	for (unsigned i = 0; i < service->n_slots; i++) {
		const struct instance *instance = service->instances[i];

		if (may_start(instance))
			return false;
		asked |= instance->asked;
		unasked |= instance->unasked;
		activated |= unit_has_socket(instance_facts(instance));
	}
	/* what is started by its clients may have ended for want of any */
	return !activated || (asked && !unasked);
}

/* Where systemd does not answer who only looks goes by what the sockets tell. */
static enum unit_state unit_state_of(const struct instance *instance)
{
	const struct service *service = instance->service;

	if (service_is_front(service))
		return front_slot_unit(service, instance->slot);
	if (instance->known || host_has(service->host, HOST_TENDS) || !service->plane ||
	    !plane_slot_sockets(service->plane, instance->slot))
		return instance_facts(instance)->state;
	return UNIT_RUNNING;
}

void service_states(const struct service *service, enum slot_state states[HS_SLOTS_MAX])
{
	for (unsigned i = 0; i < service->n_slots; i++) {
		const struct instance *instance = service->instances[i];
		struct slot_facts facts = {
			.unit = unit_state_of(instance),
			.unproven = instance_facts(instance)->has_post_commands,
		};

		if (service->plane) {
			facts.retired = plane_is_retired(service->plane, i);
			facts.suspect = plane_is_suspect(service->plane, i);
			facts.full = service_is_full(service, i);
			facts.sockets = plane_slot_sockets(service->plane, i);
			facts.incomplete = lacks_listener(service, i);
		}
		states[i] = slot_state_of(&facts);
	}
}

unsigned service_pick(const struct service *service, unsigned slot, bool take_unhealthy)
{
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(service, buffer);
	enum slot_state states[HS_SLOTS_MAX];
	unsigned to;

	service_states(service, states);
	to = slot_pick_fittest(states, health, service->n_slots, slot);
	if (to < HS_SLOTS_MAX && !take_unhealthy && health && health[to].state == HEALTH_BAD)
		return HS_SLOT_NONE;
	return to;
}
