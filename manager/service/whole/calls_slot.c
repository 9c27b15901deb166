// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/whole/calls_slot.h"

#include "service/report/report.h"
#include "service/slot/front_slots.h"
#include "service/slot/preparation.h"
#include "service/slot/retirement.h"
#include "util/macro.h"

/* False: the request was told so. */
static bool has_instance(const struct instance *instance, struct request *request)
{
	const struct service *service = instance->service;

	if (!service_is_front(service))
		return true;
	request_fail(request, REQUEST_REFUSED,
		     "%s: slot %u is a host, not an instance of %s; hsctl drain %s %u takes its "
		     "clients away",
		     service->name, instance->slot, instance->unit, service->name, instance->slot);
	return false;
}

void call_prepare(struct instance *instance, struct request *request)
{
	if (has_instance(instance, request))
		instance_prepare(instance, request);
}

void call_retire(struct instance *instance, struct request *request)
{
	if (has_instance(instance, request))
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

void call_adopt(struct instance *instance, struct request *request)
{
	if (service_is_front(instance->service))
		take_host_back(instance->service, instance->slot, request);
	else
		instance_adopt(instance, request);
}
