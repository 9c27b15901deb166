// SPDX-License-Identifier: GPL-2.0-or-later
/* Putting back what a drill has done, by whoever comes to do it: the drill itself, or another
 * process after its death. So all of it goes by what is found, and not by what was done. */
#include <signal.h>
#include <string.h>

#include "hsctl/drill/drill.h"
#include "hsctl/verb/verb.h"
#include "util/macro.h"

#define MANAGER_WITHIN (3 * USEC_PER_SEC)
#define WHOLE_WITHIN   (120 * USEC_PER_SEC)

static bool ran_before(const struct drill *drill, unsigned slot)
{
	return drill->before.ready & (1U << slot);
}

static bool any_spoilt(const struct drill *drill)
{
	for (unsigned i = 0; i < drill->direct.config.slots; i++)
		if (drill_is_spoilt(drill, i))
			return true;
	return false;
}

/* Our own, to the version that does not start: it must not find one that does. */
static void end_upgrade(struct drill *drill)
{
	if (!any_spoilt(drill) || drill_look(drill) < 0 || drill_is_idle(drill, 0))
		return;
	drill_call(drill, "CancelUpgrade");
	drill_wait(drill, drill_is_idle, 0, WHOLE_WITHIN, "the upgrade does not end");
}

static void bring_manager_back(struct drill *drill)
{
	struct problem problem = {0};

	if (drill_wait(drill, drill_has_manager, 0, MANAGER_WITHIN, NULL))
		return;
	if (units_run_job(drill->direct.systemd, UNIT_START, "hsd.service", MANAGER_WITHIN,
			  &problem) < 0)
		drill_break(drill, "hsd did not come back: %.300s", problem.text);
	else if (drill_wait(drill, drill_has_manager, 0, MANAGER_WITHIN, NULL))
		drill_break(drill, "hsd did not come back by itself");
}

static bool is_ready_or_at_rest(const struct drill *drill, unsigned slot)
{
	return drill_is_ready(drill, slot) || strcmp(drill->seen.states[slot], "stopping");
}

static bool has_no_job(const struct drill *drill, unsigned slot)
{
	struct unit_facts facts = {0};
	bool none;

	direct_unit(&drill->direct, slot, &facts);
	none = !facts.job_pending;
	unit_facts_done(&facts);
	return none;
}

/* False: it does not start. Not before it has stopped, for systemd would not give it its socket.
 * What was spoilt may be starting still, by somebody's order: ours would be taken for the same. */
static bool start_slot(struct drill *drill, unsigned slot)
{
	if (drill->mended & (1U << slot))
		drill_wait(drill, has_no_job, slot, WHOLE_WITHIN, NULL);
	drill_wait(drill, is_ready_or_at_rest, slot, WHOLE_WITHIN, NULL);
	if (drill_is_ready(drill, slot))
		return true;
	drill_mark(drill, "systemctl start of slot %u", slot);
	return drill_job(drill, UNIT_START, slot);
}

static bool start_slots(struct drill *drill)
{
	bool good = true;

	for (unsigned i = 0; i < drill->direct.config.slots; i++)
		if (ran_before(drill, i))
			good &= start_slot(drill, i);
	return good;
}

/* Only one may run: a change of ours ends first, and then it is started where none runs. The switch
 * back to the slot that was active, where another is, starts that. */
static bool start_alone(struct drill *drill)
{
	if (!drill_wait(drill, drill_is_idle, 0, WHOLE_WITHIN, "a change does not end"))
		return false;
	for (unsigned i = 0; i < drill->direct.config.slots; i++)
		if (i != drill->before.active && !drill_is_down(drill, i))
			return true;
	return start_slot(drill, drill->before.active);
}

static bool switch_back(struct drill *drill)
{
	unsigned to = drill->before.active;

	if (to >= HS_SLOTS_MAX || drill->seen.active == to)
		return true;
	drill_mark(drill, "switchover back to slot %u", to);
	return !drill_switch(drill, to);
}

/* Or nothing is on its way: who is full may stay so for ever, and that it is has been told. */
static bool is_back_or_full(const struct drill *drill, unsigned slot)
{
	if (!drill->broken.text[0])
		return drill_is_whole(drill, slot);
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (drill->before.ready & (1U << i) && !drill_is_ready(drill, i) &&
		    strcmp(drill->seen.states[i], "full"))
			return false;
	return drill_is_idle(drill, slot);
}

bool drill_put_back(struct drill *drill)
{
	bool alone = drill->direct.config.exclusive && drill->before.active < HS_SLOTS_MAX;
	bool back;

	/* after an interrupt as well; a second one ends us, and the guard goes on */
	drill->putting_back = true;
	drill->harmed = ~0U;
	end_upgrade(drill);
	for (unsigned i = 0; i < drill->direct.config.slots; i++) {
		if (drill_mend(drill, i) > 0)
			drill->mended |= 1U << i;
		if (ran_before(drill, i))
			drill_kill(drill, i, SIGCONT);
	}
	bring_manager_back(drill);
	back = alone ? start_alone(drill) && switch_back(drill) : start_slots(drill);
	back = back &&
	       drill_wait(drill, is_back_or_full, 0, WHOLE_WITHIN,
			  "not all slots that were ready before are so again") &&
	       drill_is_whole(drill, 0);
	if (!alone)
		back &= switch_back(drill);
	drill->putting_back = false;
	return back;
}
