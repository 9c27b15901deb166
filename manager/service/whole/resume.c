// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/whole/resume.h"

#include "service/change/drain_run.h"
#include "service/slot/states.h"
#include "service/upgrade/upgrade_resume.h"
#include "util/clock.h"
#include "util/macro.h"

/* How long the probes may take to say whether an instance is well, and how often it is looked
 * whether all is known. */
#define PATIENCE (5 * USEC_PER_SEC)
#define EVERY	 (50 * USEC_PER_MSEC)

/* What is noted and goes on here already is not left. */
static bool is_left(const struct service *service)
{
	struct plane_upgrade upgrade;
	struct plane_drain drain;

	return service->plane && !service->runs[SERVICE_UPGRADE] && !service->runs[SERVICE_DRAIN] &&
	       (plane_upgrade(service->plane, &upgrade) || plane_drain(service->plane, &drain));
}

/* What systemd has not told of is not decided; it is asked until it does. */
static bool may_begin(struct service *service, uint64_t now)
{
	if (service_is_known(service))
		return upgrade_run_may_resume(service) || now >= service->resume_until;
	service->resume_until = now + PATIENCE;
	return false;
}

static int again(sd_event_source *source, uint64_t now)
{
	sd_event_source_set_time(source, now + EVERY);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *service = userdata;

	if (is_left(service) && !may_begin(service, usec))
		return again(source, usec);
	/* it is not busy with what is about to begin */
	service->resume_source = NULL;
	if (is_left(service) &&
	    (upgrade_run_resume(service) < 0 || drain_run_resume(service) < 0)) {
		service->resume_source = source;
		return again(source, usec);
	}
	sd_event_source_disable_unref(source);
	return 0;
}

int resume_watch(struct service *service)
{
	if (!is_left(service))
		return 0;
	service->resume_until = now_usec() + PATIENCE;
	return sd_event_add_time_relative(service->host->event, &service->resume_source,
					  CLOCK_MONOTONIC, EVERY, USEC_PER_MSEC, on_resume,
					  service);
}

const char *resume_verb(const struct service *service)
{
	struct plane_upgrade upgrade;

	return plane_upgrade(service->plane, &upgrade) ? "upgrade" : "drain";
}
