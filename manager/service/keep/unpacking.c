// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/keep/unpacking.h"

#include <string.h>
#include <syslog.h>

#include "plane/front/decap.h"
#include "service/later.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* How often devices and addresses are looked at, which come and go with networks: nobody tells. */
#define LOOK_EVERY (3 * USEC_PER_SEC)

static void tell(struct service *service, const struct problem *problem)
{
	struct journal_scope scope = {service->name, -1, LOG_WARNING};

	if (problem->text[0] && strcmp(problem->text, service->unpacking.text))
		journal_log(JOURNAL_PROBLEM, &scope, "%s: Decap=yes: %s", service->name,
			    problem->text);
	service->unpacking = *problem;
}

static int apply(struct service *service, struct problem *problem)
{
	size_t n;
	struct listener **listeners = plane_listeners(service->plane, &n);
	_cleanup_(freep) const struct address **addresses = calloc(n ?: 1, sizeof(*addresses));
	const struct config_front *front = &service->config.front;
	const struct decap_terms terms = {front->device, front->decap_from, front->n_decap_from};

	if (!addresses)
		return problem_set(problem, -ENOMEM, "no memory");
	for (size_t i = 0; i < n; i++)
		addresses[i] = &listeners[i]->address;
	return decap_apply(plane_id(service->plane), addresses, n, &terms, problem);
}

static int try_to_follow(void *userdata, enum later_try try)
{
	struct service *service = userdata;
	struct problem problem = {0};
	struct decap_totals totals;
	int r = 0;

	if (try == LATER_DROP)
		return 0;
	if (service->config.front.decap) {
		service->unpacked_on = decap_devices_mark();
		r = apply(service, &problem);
	} else if (!decap_totals(plane_id(service->plane), &totals)) {
		r = decap_remove(plane_id(service->plane));
	}
	if (r != -EBUSY || try != LATER_TRY)
		tell(service, &problem);
	return r;
}

static void follow(struct service *service)
{
	later_do(service, USEC_INFINITY, try_to_follow, service);
}

/* What could not be done is tried again as well: the device may be there by now. */
static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *service = userdata;

	(void)usec;
	sd_event_source_set_time(source, now_usec() + LOOK_EVERY);
	sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	if (service->plane &&
	    (service->unpacking.text[0] || decap_devices_mark() != service->unpacked_on))
		follow(service);
	return 0;
}

void unpacking_follow(struct service *service)
{
	if (!service->plane || !host_has(service->host, HOST_TENDS))
		return;
	follow(service);
	if (!service->config.front.decap)
		unpacking_done(service);
	else if (!service->unpacking_look)
		(void)sd_event_add_time(service->host->event, &service->unpacking_look,
					CLOCK_MONOTONIC, now_usec() + LOOK_EVERY, USEC_PER_SEC,
					on_look, service);
}

void unpacking_done(struct service *service)
{
	service->unpacking_look = sd_event_source_disable_unref(service->unpacking_look);
}

void unpacking_heard(struct service *service, const struct event *event)
{
	(void)event;
	if (service->config.front.decap)
		unpacking_follow(service);
}
