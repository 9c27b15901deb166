// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/keep/narrowing.h"

#include <syslog.h>

#include "plane/act/outside.h"
#include "service/keep/park.h"
#include "service/slot/orders.h"
#include "service/slot/states.h"
#include "service/watch/foreign_watch.h"
#include "util/clock.h"
#include "util/macro.h"

/* A park that is closed is in its group for a moment longer: without the selector the kernel would
 * lead connections there. */
#define PARK_LEAVES (20 * USEC_PER_MSEC)

static void on_left(struct work_answer *answer, void *userdata)
{
	struct service *service = userdata;
	struct journal_scope scope = {service->name, -1, LOG_NOTICE};

	service->outside_work = NULL;
	if (answer->result < 0) {
		scope.priority = LOG_WARNING;
		journal_log(JOURNAL_PROBLEM, &scope, "%s: %s", service->name, answer->problem.text);
		return;
	}
	plane_forget_outside(service->plane, &service->config);
	journal_log(JOURNAL_MANAGER, &scope,
		    "%s: ports that Ports= does not name were given up: the kernel alone leads "
		    "connections there",
		    service->name);
	park_look(service->park);
	foreign_watch_look(service);
	/* there may be room now for what is named */
	for (unsigned i = 0; i < service->n_slots; i++)
		if (instance_owns(service->instances[i], 0))
			instance_adopt(service->instances[i], NULL);
}

static int on_parks_closed(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct order_scope scope = {.keep_places = true};
	struct work_order order = {.kind = WORK_OUTSIDE, .slot = HS_SLOT_NONE};
	struct service *service = userdata;

	(void)usec;
	sd_event_source_disable_unref(source);
	service->outside_source = NULL;
	service_order(service, &scope, &order, on_left, service, &service->outside_work);
	return 0;
}

void narrowing_look(struct service *service)
{
	if (!service->plane || service->outside_work || service->outside_source ||
	    !service_is_known(service) || !outside_any(service->plane, &service->config))
		return;
	park_look(service->park);
	sd_event_add_time_relative(service->host->event, &service->outside_source, CLOCK_MONOTONIC,
				   PARK_LEAVES, USEC_PER_MSEC, on_parks_closed, service);
}

void narrowing_done(struct service *service)
{
	service->outside_source = sd_event_source_disable_unref(service->outside_source);
	work_forget(service->outside_work);
}

void narrowing_heard(struct service *service, const struct event *event)
{
	if (event->anew)
		narrowing_look(service);
}
