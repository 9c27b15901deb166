// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/whole/calls_slot.h"

#include "service/report/report.h"
#include "service/slot/front_slots.h"
#include "service/slot/preparation.h"
#include "service/slot/retirement.h"
#include "util/macro.h"

/* NULL: the request was told that there is no such slot. */
static struct instance *find(const struct service *service, unsigned slot, struct request *request)
{
	if (slot < service->n_slots)
		return service->instances[slot];
	if (service_is_front(service))
		request_fail(request, REQUEST_REFUSED, "%s has no host %u", service->name, slot);
	else
		request_fail(request, REQUEST_REFUSED,
			     "%s has %u slots and no slot %u; raise Slots= in %s.conf",
			     service->name, service->n_slots, slot, service->name);
	return NULL;
}

/* What is done to an instance is not done to a host. NULL: likewise. */
static struct instance *find_instance(const struct service *service, unsigned slot,
				      struct request *request)
{
	struct instance *instance = find(service, slot, request);

	if (!instance || !service_is_front(service))
		return instance;
	request_fail(request, REQUEST_REFUSED,
		     "%s: slot %u is a host, not an instance of %s; hsctl drain %s %u takes its "
		     "clients away",
		     service->name, slot, instance->unit, service->name, slot);
	return NULL;
}

void call_prepare(struct service *service, unsigned slot, struct request *request)
{
	struct instance *instance = find_instance(service, slot, request);

	if (instance)
		instance_prepare(instance, request);
}

void call_retire(struct service *service, unsigned slot, struct request *request)
{
	struct instance *instance = find_instance(service, slot, request);

	if (instance)
		instance_retire(instance, request);
}

static void take_host_back(struct service *service, unsigned slot, struct request *request)
{
	struct requests one = {0};
	struct problem message;

	if (!service->plane || !front_slot_is_given(service, slot)) {
		request_fail(request, REQUEST_REFUSED, "%s has no host %u%s%s", service->name, slot,
			     service->plane ? "" : ": ", service->problem.text);
		return;
	}
	front_slot_return(service, slot);
	problem_set(&message, 0, "%s: host %u takes new connections%s", service->name, slot,
		    front_slot_takes(service, slot) ? ""
		    : service->leaving >> slot & 1
			    ? " as soon as its agent says no more that it leaves"
			    : " as soon as it is found well");
	requests_add(&one, request);
	requests_done(&one, service->name, slot, message.text);
}

void call_adopt(struct service *service, unsigned slot, struct request *request)
{
	struct instance *instance = find(service, slot, request);

	if (!instance)
		return;
	if (service_is_front(service))
		take_host_back(service, slot, request);
	else
		instance_adopt(instance, request);
}
