// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/standing.h"

#include "plane/accounting.h"
#include "plane/alive.h"
#include "plane/motion.h"
#include "util/clock.h"
#include "util/macro.h"

/* This part of Stall=. */
#define PERIOD_PART 8
/* All connections are gone through: at the most this part of our time goes into it. */
#define COST_SHARE 200

void standing_forget(struct standing *standing)
{
	standing->still.begun = false;
}

uint64_t standing_period(const struct instance *instance)
{
	return instance->service->config.stall_usec / PERIOD_PART;
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
	sample->mark = places[instance->slot].mark;
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
	sample.halted = alive_any_halted(cgroup);
	standing->after =
		sample.now + MAX(COST_SHARE * (now_usec() - sample.now), standing_period(instance));
	return standstill_step(&standing->still, &sample);
}
