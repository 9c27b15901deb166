// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/service.h"

#include "service/report/report.h"
#include "util/macro.h"

bool service_is_open(const struct service *service)
{
	return service->plane && service->park;
}

void service_post(struct service *service, enum event_kind kind, unsigned slot, bool anew)
{
	events_post(&service->events, kind, slot, anew);
}

void service_post_moved(struct service *service)
{
	for (unsigned i = 0; i < service->n_slots && !host_has(service->host, HOST_WATCHES); i++)
		if (plane_slot_sockets(service->plane, i))
			service_post(service, EVENT_MOVED, i, false);
}

void service_changed(const struct service *service)
{
	service->host->ops->changed(service);
}

void service_progress(const struct service *service, json_object *step)
{
	_cleanup_(freep) char *text = report_text(step);

	json_object_put(step);
	if (text)
		service->host->ops->progress(service, text);
}

enum service_work service_busy(const struct service *service)
{
	for (unsigned i = 0; i < SERVICE_IDLE; i++)
		if (service->runs[i] || (i == SERVICE_RESUMING && service->resume_source))
			return i;
	return SERVICE_IDLE;
}

bool service_is_full(const struct service *service, unsigned slot)
{
	const struct trouble *trouble = &service->troubles[slot];

	if (!trouble->problem.text[0])
		return false;
	if (!trouble->found)
		return trouble->kind == STANDSTILL_IS_FULL;
	return trouble->still->begun && standstill_kind(trouble->still) == STANDSTILL_IS_FULL;
}

const struct slot_health *service_health(const struct service *service,
					 struct slot_health health[HS_SLOTS_MAX])
{
	if (!service->health ||
	    !(service->config.health.n_probes || config_is_front(&service->config.front)))
		return NULL;
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++) {
		health[i] = service->verdicts[i];
		if (!health[i].reason)
			health[i].reason = "";
	}
	return health;
}
