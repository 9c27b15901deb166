// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/restart.h"

#include <string.h>
#include <syslog.h>

#include "service/slot/states.h"
#include "util/clock.h"
#include "util/macro.h"

/* A crashed instance is started again after this long, twice as long each time in a row; one that
 * was ready for a while begins anew. */
#define RESTART_DELAY_MIN (100 * USEC_PER_MSEC)
/* One that never came to serve is missed by nobody, and hardly fares better in a moment. */
#define RESTART_DELAY_VAIN (2 * USEC_PER_SEC)
#define RESTART_DELAY_MAX  (30 * USEC_PER_SEC)
#define STABLE_AFTER	   (60 * USEC_PER_SEC)

static void end_restart(struct instance *instance, const char *why, const char *result,
			const struct problem *problem)
{
	bool done = !strcmp(result, "done");
	struct journal_scope scope = instance_scope(instance, done ? LOG_INFO : LOG_WARNING);

	instance->restart_job = NULL;
	journal_log(JOURNAL_RESTART, &scope, "%s: starting slot %u again %s: %s%s%s",
		    instance->service->name, instance->slot, why, result, problem ? ": " : "",
		    problem ? problem->text : "");
	/* it did not come as far as to crash again, so nothing else brings it back */
	if (!done)
		restart_later(instance);
}

static void on_restarted(const char *result, const struct problem *problem, void *userdata)
{
	end_restart(userdata, "after its crash", result, problem);
}

static void on_fetched(const char *result, const struct problem *problem, void *userdata)
{
	end_restart(userdata, "with its socket unit", result, problem);
}

/* The socket units were stopped for one run while systemd had the start of the next one in hand,
 * which then began without them. Another start fetches them. */
void restart_check(struct instance *instance, const struct unit_facts *facts)
{
	struct service *service = instance->service;
	bool same_run = !strcmp(instance->let_go_run, facts->invocation);
	bool without = facts->state == UNIT_FAILED ||
		       (facts->state == UNIT_RUNNING && service->plane &&
			!plane_slot_sockets(service->plane, instance->slot));

	if (!instance->let_go_run[0] || facts->job_pending || instance_is_adopting(instance))
		return;
	instance->let_go_run[0] = '\0';
	if (!same_run && without && !instance->restart_job)
		unit_job_new(service->host->bus, UNIT_RESTART, instance->unit, on_fetched, instance,
			     &instance->restart_job);
}

/* It runs, or is about to: systemd may not have told yet. Of several that have failed it is the
 * active one that is to run again. */
static bool goes_before(const struct instance *other)
{
	const struct service *service = other->service;
	const struct unit_facts *facts = instance_facts(other);

	if (facts->state != UNIT_DOWN && facts->state != UNIT_FAILED)
		return true;
	if (facts->job_pending || other->restart_job)
		return true;
	return other->restart_source && service->plane &&
	       hs_word_active(plane_word(service->plane)) == other->slot;
}

/* Of an exclusive service the one instance that may run is another, or is about to be. */
static bool must_stay_down(const struct instance *instance)
{
	const struct service *service = instance->service;

	if (!service->config.exclusive)
		return false;
	for (unsigned i = 0; i < service->n_slots; i++)
		if (i != instance->slot && goes_before(service->instances[i]))
			return true;
	return service->runs[SERVICE_EXCLUSIVE];
}

static int restart(struct instance *instance)
{
	return unit_job_new(instance->service->host->bus, UNIT_START, instance->unit, on_restarted,
			    instance, &instance->restart_job);
}

static int on_restart_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	(void)usec;
	sd_event_source_disable_unref(source);
	instance->restart_source = NULL;
	if (instance_facts(instance)->state != UNIT_FAILED || instance->restart_job)
		return 0;
	if (must_stay_down(instance)) {
		/* whether another one runs is still to be told */
		if (!service_is_known(instance->service))
			restart_later(instance);
		return 0;
	}
	if (restart(instance) < 0)
		restart_later(instance);
	return 0;
}

void restart_later(struct instance *instance)
{
	uint64_t now = now_usec(), least = RESTART_DELAY_MIN;

	if (instance->began && !instance->served)
		least = RESTART_DELAY_VAIN;
	if (!instance->service->config.restart_on_crash || instance->restart_source)
		return;
	if (instance->ready_since && now - instance->ready_since > STABLE_AFTER)
		instance->restart_delay = 0;
	instance->ready_since = 0;
	instance->restart_delay = MIN(MAX(2 * instance->restart_delay, least), RESTART_DELAY_MAX);
	/* no memory for a timer: at once rather than never */
	if (sd_event_add_time_relative(instance->service->host->event, &instance->restart_source,
				       CLOCK_MONOTONIC, instance->restart_delay, USEC_PER_MSEC,
				       on_restart_due, instance) < 0 &&
	    !instance->restart_job && !must_stay_down(instance))
		restart(instance);
}
