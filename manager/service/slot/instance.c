// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/instance.h"

#include <string.h>

#include "plane/kernel/cgroup.h"

struct journal_scope instance_scope(const struct instance *instance, int priority)
{
	return (struct journal_scope) {instance->service->name, instance->slot, priority};
}

const struct unit_facts *instance_facts(const struct instance *instance)
{
	static const struct unit_facts unknown = {.state = UNIT_UNKNOWN};

	return instance->watch ? unit_watch_facts(instance->watch) : &unknown;
}

bool instance_is_up(enum unit_state state)
{
	return state == UNIT_START_POST || state == UNIT_RUNNING;
}

bool instance_is_retired(const struct instance *instance)
{
	return instance->service->plane &&
	       plane_is_retired(instance->service->plane, instance->slot);
}

void instance_describe_silence(const struct instance *instance, struct problem *ret_sentence)
{
	problem_set(ret_sentence, 0, "systemd does not answer about %s (%s)%s; it is asked again",
		    instance->unit, strerror(-instance->silence),
		    instance->known ? ", so this is what it told last" : "");
}

bool instance_owns(const struct instance *instance, uint64_t cgroup_id)
{
	const struct unit_facts *facts = instance_facts(instance);

	/* before it has reported ready it is not asked for; see instance_adopt() */
	if (!instance_is_up(facts->state) || instance_is_retired(instance) ||
	    strcmp(instance->adopted_run, facts->invocation))
		return false;
	return !cgroup_id || cgroup_contains(facts->control_group, cgroup_id);
}

bool instance_is_adopting(const struct instance *instance)
{
	return instance->adopt_work || instance->adoption;
}

bool instance_serves_unadopted(const struct instance *instance)
{
	return instance->barred && instance_is_up(instance_facts(instance)->state);
}

void instance_refresh(struct instance *instance)
{
	if (host_has(instance->service->host, HOST_TENDS))
		unit_watch_refresh(instance->watch);
	else
		service_post(instance->service, EVENT_UNIT_CHANGED, instance->slot, false);
}

void instance_adopt(struct instance *instance, struct request *request)
{
	if (!requests_add(&instance->adopters, request))
		return;
	instance->adopt_wanted = true;
	/* one that is under way began before this was asked: it runs once more afterwards */
	if (!instance_is_adopting(instance))
		instance_refresh(instance);
}
