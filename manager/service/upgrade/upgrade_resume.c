// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/upgrade/upgrade_resume.h"

#include <syslog.h>

#include "service/slot/instance.h"
#include "service/upgrade/upgrade_parts.h"
#include "service/watch/health.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* How long a new hsd waits for what systemd and the probes say, before it finishes or undoes what
 * the one before has left; and how often it looks whether that is there. */
#define RESUME_PATIENCE (5 * USEC_PER_SEC)
#define RESUME_EVERY	(50 * USEC_PER_MSEC)

/* Clients get to the new one, and it is well. */
static bool has_taken_over(const struct upgrade_run *upgrade)
{
	uint64_t word = plane_word(upgrade->run.service->plane);
	struct problem unwell;

	return hs_word_active(word) == upgrade->run.to &&
	       !(hs_word_flags(word) & HS_FLAG_EXCLUSIVE) &&
	       !upgrade_run_is_unwell(upgrade, &unwell);
}

static void resume(struct service *service, const struct plane_upgrade *noted)
{
	static const struct upgrade_order nothing = {.smoke = "", .ready_usec = 30 * USEC_PER_SEC};
	struct journal_scope scope = {service->name, (int)noted->to, LOG_WARNING};
	struct upgrade_run *upgrade = upgrade_run_new(service, &nothing, noted->from, noted->to);
	unsigned actions;

	if (!upgrade)
		return;
	upgrade->run.uid = noted->uid;
	actions = upgrade_resume(&upgrade->machine, noted->state, has_taken_over(upgrade),
				 now_usec());
	journal_log(JOURNAL_UPGRADE, &scope,
		    "%s: hsd was gone in the middle of an upgrade, in its step \"%s\"; it is %s",
		    service->name, upgrade_state_to_string(noted->state),
		    actions & UPGRADE_DO_UNDO ? "undone" : "finished");
	run_begin(&upgrade->run, NULL, actions);
}

static bool is_known(const struct service *service, const struct plane_upgrade *noted)
{
	for (unsigned i = 0; i < service->n_slots; i++)
		if ((i == noted->from || i == noted->to) && !service->instances[i]->known)
			return false;
	return true;
}

/* The probes of the new one, if any, have told. */
static bool is_clear(const struct service *service, const struct plane_upgrade *noted)
{
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(service, buffer);

	return !health || noted->to >= service->n_slots ||
	       !instance_is_up(instance_facts(service->instances[noted->to])->state) ||
	       health[noted->to].state != HEALTH_UNKNOWN;
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *service = userdata;
	struct plane_upgrade noted;
	bool left = plane_upgrade(service->plane, &noted);
	bool known = left && is_known(service, &noted);

	/* what systemd has not told of is not decided; it is asked until it does */
	if (left && (!known || (!is_clear(service, &noted) && usec < service->resume_until))) {
		if (!known)
			service->resume_until = usec + RESUME_PATIENCE;
		sd_event_source_set_time(source, usec + RESUME_EVERY);
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	service->resume_source = sd_event_source_disable_unref(source);
	if (left)
		resume(service, &noted);
	return 0;
}

int upgrade_resume_watch(struct service *service)
{
	struct plane_upgrade noted;

	if (!service->plane || !plane_upgrade(service->plane, &noted))
		return 0;
	service->resume_until = now_usec() + RESUME_PATIENCE;
	return sd_event_add_time_relative(service->host->event, &service->resume_source,
					  CLOCK_MONOTONIC, RESUME_EVERY, USEC_PER_MSEC, on_resume,
					  service);
}
