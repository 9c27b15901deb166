// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/failover/standing.h"

#include "plane/bpf/accounting.h"
#include "plane/bpf/motion.h"
#include "plane/kernel/alive.h"
#include "plane/plane_census.h"
#include "util/clock.h"
#include "util/macro.h"

/* This part of Stall=. */
#define PERIOD_PART 8
/* All connections are gone through: at the most this part of our time goes into it. */
#define COST_SHARE 200
/* Who waits longer than this for what does not move waits in vain. */
#define PATIENCE_MAX (60 * USEC_PER_SEC)
/* Its default, for those that are left when Stall= is switched off. */
#define STALL_WHEN_OFF USEC_PER_SEC

void standing_forget(struct standing *standing)
{
	standing->still.begun = false;
}

uint64_t standing_stall(const struct config *config)
{
	return config->stall_usec ? config->stall_usec : STALL_WHEN_OFF;
}

uint64_t standing_period(const struct instance *instance)
{
	return standing_stall(&instance->service->config) / PERIOD_PART;
}

/* What was accepted at a path is counted; what moves there is not seen, nor whether what is unread
 * has just not been read to its end: so it is in work as long as it is open. */
static void see_paths(const struct instance *instance, struct standstill_sample *sample)
{
	uint64_t open[HS_SLOTS_MAX];

	paths_connections_lately(plane_paths(instance->service->plane), open);
	if (!open[instance->slot])
		return;
	sample->accepted += open[instance->slot];
	sample->unread = 0;
}

static void see_connections(const struct instance *instance, struct standstill_sample *sample)
{
	const struct plane *plane = instance->service->plane;
	struct accounting *accounting = plane_accounting(plane);
	struct motion *motion = accounting ? accounting_motion(accounting) : NULL;
	struct place_motion places[HS_PLACES_MAX];

	if (!motion || motion_take(motion, plane_id(plane), places) < 0)
		return;
	sample->connections_known = true;
	sample->accepted = places[instance->slot].accepted;
	sample->unread = places[instance->slot].unread;
	/* a sum that grows with each byte of these changes the mark as TCP's numbers do */
	sample->mark = places[instance->slot].mark + plane_fast_sent(plane, instance->slot);
	see_paths(instance, sample);
}

enum standstill_verdict standing_look(struct standing *standing, const struct instance *instance,
				      uint64_t due)
{
	const char *cgroup = instance_facts(instance)->control_group;
	struct standstill_sample sample = {.now = now_usec(), .due = due};

	if (standing->still.begun && sample.now < standing->after)
		return standing->still.verdict;
	see_connections(instance, &sample);
	sample.cpu_known = !alive_cpu(cgroup, &sample.cpu);
	sample.halt = alive_any_halted(cgroup);
	standing->after =
		sample.now + MAX(COST_SHARE * (now_usec() - sample.now), standing_period(instance));
	return standstill_step(&standing->still, &sample);
}

enum standstill_kind standing_kind(struct standing *standing, const struct instance *instance)
{
	struct standstill *still = &standing->still;

	if (still->begun && now_usec() < standing->after)
		return standstill_kind(still);
	still->halt = alive_any_halted(instance_facts(instance)->control_group);
	if (still->halt == HALT_STOPPED)
		standing->after = now_usec() + standing_period(instance);
	else
		standing_look(standing, instance, 0);
	return standstill_kind(still);
}

void standing_note(struct standing *standing, const struct instance *instance)
{
	if (!standing->still.begun && now_usec() >= standing->after)
		standing_look(standing, instance, 0);
}

struct standstill_limits standing_limits(const struct config *config)
{
	return (struct standstill_limits) {
		.stall = standing_stall(config),
		.patience = MAX(standing_stall(config), MIN(config->drain_usec, PATIENCE_MAX)),
	};
}
