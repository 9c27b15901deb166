// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/upgrade/upgrade_resume.h"

#include <syslog.h>

#include "service/slot/instance.h"
#include "service/upgrade/rolling_run.h"
#include "service/upgrade/upgrade_parts.h"
#include "service/watch/health.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* Clients get to the new one, and it is well. */
static bool has_taken_over(const struct upgrade_run *upgrade)
{
	uint64_t word = plane_word(upgrade->run.service->plane);
	struct problem unwell;

	return hs_word_active(word) == upgrade->run.to &&
	       !(hs_word_flags(word) & HS_FLAG_EXCLUSIVE) &&
	       !upgrade_run_is_unwell(upgrade, &unwell);
}

static int resume(struct service *service, const struct plane_upgrade *noted)
{
	static const struct upgrade_order nothing = {.smoke = "", .ready_usec = 30 * USEC_PER_SEC};
	struct journal_scope scope = {service->name, (int)noted->to, LOG_WARNING};
	struct upgrade_run *upgrade = upgrade_run_new(service, &nothing, noted->from, noted->to);
	unsigned actions;

	if (!upgrade)
		return -ENOMEM;
	upgrade->run.by.uid = noted->uid;
	actions = upgrade_resume(&upgrade->machine, noted->state, has_taken_over(upgrade),
				 now_usec());
	journal_log(JOURNAL_UPGRADE, &scope,
		    "%s: hsd was gone in the middle of an upgrade, in its step \"%s\"; it is %s",
		    service->name, upgrade_state_to_string(noted->state),
		    actions & UPGRADE_DO_UNDO ? "undone" : "finished");
	run_begin(&upgrade->run, NULL, actions);
	return 0;
}

bool upgrade_run_may_resume(const struct service *service)
{
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(service, buffer);
	struct plane_upgrade noted;

	if (!plane_upgrade(service->plane, &noted))
		return true;
	/* of one that goes slot by slot the slot is the first one */
	if (rolling_run_is_noted(&noted))
		noted.to = noted.from;
	return !health || noted.to >= service->n_slots ||
	       !instance_is_up(instance_facts(service->instances[noted.to])->state) ||
	       health[noted.to].state != HEALTH_UNKNOWN;
}

int upgrade_run_resume(struct service *service)
{
	struct plane_upgrade noted;

	if (!plane_upgrade(service->plane, &noted))
		return 0;
	return rolling_run_is_noted(&noted) ? rolling_run_resume(service, &noted)
					    : resume(service, &noted);
}
