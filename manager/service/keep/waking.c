// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/keep/waking.h"

#include <string.h>
#include <syslog.h>

#include "service/slot/instance.h"
#include "service/slot/states.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* One that ends without having served anybody is not started without end. */
#define DELAY_MIN (1 * USEC_PER_SEC)
#define DELAY_MAX (30 * USEC_PER_SEC)
/* One that has come so late has ended for a reason of its own. */
#define FORGET (60 * USEC_PER_SEC)

/* All have ended by themselves, and nobody else is about to start one. */
static bool is_asleep(const struct service *service)
{
	bool activated = false;

	if (!service_is_known(service) || service_busy(service) < SERVICE_DRAIN)
		return false;
	for (unsigned i = 0; i < service->n_slots; i++) {
		const struct unit_facts *facts = instance_facts(service->instances[i]);

		if (facts->state != UNIT_DOWN || facts->job_pending)
			return false;
		activated |= unit_has_socket(facts);
	}
	return activated && !service_is_put_down(service);
}

static bool is_due(struct waking *waking, uint64_t now)
{
	if (waking->begun && now - waking->begun > FORGET)
		waking->delay = 0;
	return !waking->begun || now - waking->begun >= waking->delay;
}

static void on_woken(const char *result, const struct problem *problem, void *userdata)
{
	struct service *service = userdata;
	struct journal_scope scope = {service->name, -1, LOG_WARNING};

	service->waking.job = NULL;
	if (strcmp(result, "done"))
		journal_log(JOURNAL_RESTART, &scope,
			    "%s: no slot could be started for those who wait: %s %s", service->name,
			    result, problem ? problem->text : "");
}

void waking_look(struct service *service)
{
	struct waking *waking = &service->waking;
	unsigned slot = hs_word_active(plane_word(service->plane));
	struct journal_scope scope = {service->name, -1, LOG_INFO};
	uint64_t now = now_usec();

	if (waking->job || !is_asleep(service) || !is_due(waking, now))
		return;
	slot = slot < service->n_slots ? slot : 0;
	waking->begun = now;
	waking->delay = MIN(MAX(2 * waking->delay, DELAY_MIN), DELAY_MAX);
	journal_log(JOURNAL_RESTART, &scope,
		    "%s: somebody waits and all instances have ended for want of clients: slot %u "
		    "is started",
		    service->name, slot);
	unit_job_new(service->host->bus, UNIT_START, service->instances[slot]->unit, on_woken,
		     service, &waking->job);
}

void waking_done(struct waking *waking)
{
	unit_job_free(waking->job);
}
