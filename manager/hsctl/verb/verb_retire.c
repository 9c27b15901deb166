// SPDX-License-Identifier: GPL-2.0-or-later
/* retire: ExecStop= of an instance. */
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "hsctl/direct_roles.h"
#include "hsctl/verb/hook.h"
#include "hsctl/verbs.h"
#include "plane/act/retire.h"
#include "util/clock.h"
#include "util/macro.h"

/* hsd itself waits up to 4 s for another slot that is coming. */
#define ASK_TIME (UINT64_C(4250000))
/* The same wait without hsd: it leaves time to settle and to move the queue. */
#define WAIT_TIME (UINT64_C(2500000))
/* All settling ends here, counted from the start. */
#define SETTLE_TIME (UINT64_C(4600000))
#define SETTLE_MAX  (2 * USEC_PER_SEC)
#define LOOK_EVERY  (20 * USEC_PER_MSEC)
/* How long datagrams that were received may take to be read. */
#define READ_TIME  (1 * USEC_PER_SEC)
#define READ_EVERY (5 * USEC_PER_MSEC)

#define ALL_SLOTS (~UINT32_C(0))

static void pause_for(uint64_t usec)
{
	struct timespec span = {
		.tv_sec = usec / USEC_PER_SEC,
		.tv_nsec = usec % USEC_PER_SEC * NSEC_PER_USEC,
	};

	nanosleep(&span, NULL);
}

/* Starting, or about to be started: all slots restarted by one command take turns. */
static bool another_may_come(const struct direct *direct, unsigned slot)
{
	bool may = false;

	for (unsigned i = 0; !may && i < direct->config.slots; i++) {
		struct unit_facts facts = {0};

		if (i == slot)
			continue;
		direct_unit(direct, i, &facts);
		may = facts.job_pending || facts.state == UNIT_STARTING ||
		      facts.state == UNIT_START_POST || facts.state == UNIT_STOPPING;
		unit_facts_done(&facts);
	}
	return may;
}

static bool another_serves(const struct direct *direct, unsigned slot)
{
	uint32_t others = plane_live_slots(direct->plane) & ~(1U << slot);
	enum slot_state states[HS_SLOTS_MAX];

	direct_states(direct, states);
	return slots_proven(states, direct->config.slots, others);
}

/* One that is starting and has its sockets already may still fail its own checks. */
static void wait_for_another(const struct hook *hook, const struct direct *direct)
{
	while (hook_left(hook, WAIT_TIME) && plane_live_slots(direct->plane) & (1U << hook->slot) &&
	       !another_serves(direct, hook->slot) && another_may_come(direct, hook->slot)) {
		pause_for(LOOK_EVERY);
		plane_refresh(direct->plane);
	}
}

static enum retire_answer leave(const struct hook *hook, const struct direct *direct)
{
	enum retire_answer answer;
	unsigned to;

	plane_set_retired(direct->plane, hook->slot, true);
	wait_for_another(hook, direct);
	answer = retire_leave(direct->plane, hook->slot, ALL_SLOTS, &to);
	/* of two that leave at the same time the other one was quicker */
	while (answer == RETIRE_LAST && hook_left(hook, WAIT_TIME) &&
	       another_may_come(direct, hook->slot)) {
		pause_for(LOOK_EVERY);
		wait_for_another(hook, direct);
		answer = retire_leave(direct->plane, hook->slot, ALL_SLOTS, &to);
	}
	return answer == RETIRE_LAST ? retire_park(direct->plane, hook->slot) : answer;
}

/* What came before it left and cannot be moved. */
static struct retire_left wait_until_read(const struct hook *hook, const struct direct *direct,
					  const char *cgroup)
{
	bool has_paths = plane_paths(direct->plane)->entries;
	uint64_t begun = now_usec(), now = begun, left_usec = hook_left(hook, SETTLE_TIME);
	uint64_t patience = has_paths ? left_usec : MIN(READ_TIME, left_usec);
	struct retire_left left = {0};

	while (!retire_look(direct->plane, hook->slot, cgroup, &left) &&
	       !retire_is_over(&left, now - begun) && now - begun < patience) {
		pause_for(READ_EVERY);
		now = now_usec();
	}
	return left;
}

/* Its role is another's now: it is to hear that before it is ended. */
static void tell_roles(const struct hook *hook, const struct direct *direct)
{
	struct direct_roles roles;

	direct_roles_tell(direct, &roles);
	direct_roles_end(direct, &roles, false, hook_left(hook, SETTLE_TIME));
}

static void tell_not_moved(const struct hook *hook, const struct problem *problem)
{
	struct problem sentence;

	problem_set(&sentence, 0, "%s: what waits on slot %u could not be moved: %.400s",
		    hook->service, hook->slot, problem->text);
	hook_tell(hook, JOURNAL_PROBLEM, LOG_WARNING, &sentence);
}

static void move_queue(const struct hook *hook, const struct direct *direct,
		       enum retire_answer answer)
{
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};
	uint64_t settle = MIN(direct->config.settle_usec, SETTLE_MAX);
	struct retire_queues queues = {0};
	struct problem sentence, problem;

	pause_for(MIN(settle, hook_left(hook, SETTLE_TIME)));
	direct_unit(direct, hook->slot, &facts);
	if (facts.control_group[0])
		queues.moved =
			direct_bounce(direct, hook->slot, facts.control_group, false, &problem);
	if (queues.moved < 0)
		tell_not_moved(hook, &problem);
	if (queues.moved > 0)
		direct_nudge(direct, hook->slot);
	tell_roles(hook, direct);
	if (facts.control_group[0])
		queues.left = wait_until_read(hook, direct, facts.control_group);
	retire_describe(answer, direct->plane, hook->slot, &queues, &sentence);
	hook_tell(hook, JOURNAL_RETIRE, retire_loses(&queues.left) ? LOG_WARNING : LOG_INFO,
		  &sentence);
}

/* What its unit does to stop it is meant for this instance. */
static void keep_reach(const struct hook *hook, const struct direct *direct)
{
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};

	direct_unit(direct, hook->slot, &facts);
	if (facts.control_group[0] && facts.has_stop_commands)
		(void)retire_keep_reach(direct->plane, hook->slot, facts.control_group, NULL);
}

/* `asked`: hsd was asked and did not come to the end, so it may have begun. */
static void retire_directly(struct hook *hook, bool asked)
{
	_cleanup_(direct_close) struct direct direct = {0};
	enum retire_answer answer;
	struct problem sentence;

	if (!hook_open(hook, &direct))
		return;
	answer = leave(hook, &direct);
	if (answer == RETIRE_NOT_HERE && asked)
		answer = plane_live_slots(direct.plane) ? RETIRE_DONE : RETIRE_PARKED;
	if (answer != RETIRE_LAST)
		keep_reach(hook, &direct);
	if (answer == RETIRE_DONE || answer == RETIRE_PARKED) {
		move_queue(hook, &direct, answer);
		return;
	}
	retire_describe(answer, direct.plane, hook->slot, NULL, &sentence);
	hook_tell(hook, JOURNAL_RETIRE, answer == RETIRE_LAST ? LOG_WARNING : LOG_INFO, &sentence);
}

int verb_retire(const struct arguments *arguments)
{
	enum client_answer answer;
	struct hook hook;

	if (hook_begin(&hook, arguments))
		return EXIT_USAGE;
	answer = hook_ask(&hook, "Retire", ASK_TIME);
	if (answer != CLIENT_ANSWERED)
		retire_directly(&hook, answer != CLIENT_ABSENT);
	return hook_end(&hook);
}
