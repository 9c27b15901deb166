// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/ended.h"

void ended_add(struct service *service, struct ended *ended,
	       void (*on_heard)(struct ended *ended, bool heard))
{
	struct ended **last = &service->ended;

	while (*last)
		last = &(*last)->next;
	*ended = (struct ended) {.on_heard = on_heard};
	*last = ended;
	service_post(service, EVENT_CHANGE_ENDED, HS_SLOT_NONE, false);
}

static void take_all(struct service *service, bool heard)
{
	struct ended *ended;

	while ((ended = service->ended)) {
		service->ended = ended->next;
		ended->on_heard(ended, heard);
	}
}

void ended_heard(struct service *service, const struct event *event)
{
	(void)event;
	take_all(service, true);
}

void ended_drop(struct service *service)
{
	take_all(service, false);
}
