// SPDX-License-Identifier: GPL-2.0-or-later
/* What is done to the service in each scenario, and what it must do then. */
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "hsctl/client.h"
#include "hsctl/drill.h"
#include "hsctl/verb.h"
#include "system/units.h"
#include "util/clock.h"
#include "util/macro.h"

/* How long the prober watches the service as it is, before and after. */
#define LEAD	    USEC_PER_SEC
#define FLIP_WITHIN (30 * USEC_PER_SEC)
#define BACK_WITHIN (120 * USEC_PER_SEC)
#define HELD_FOR    (2 * USEC_PER_SEC)

static void unit_of(const struct drill *drill, unsigned slot, char unit[UNIT_NAME_MAX])
{
	name_unit(drill->service, slot, unit, UNIT_NAME_MAX);
}

static int run_job(struct drill *drill, enum unit_action action, unsigned slot)
{
	struct problem problem = {0};
	char unit[UNIT_NAME_MAX];
	int r;

	unit_of(drill, slot, unit);
	r = units_run_job(drill->systemd, action, unit, BACK_WITHIN, &problem);
	if (r < 0)
		drill_break(drill, "%.400s", problem.text);
	return r;
}

static void wait_until_whole(struct drill *drill)
{
	drill_wait(drill, drill_all_ready, 0, BACK_WITHIN,
		   "not all slots that were ready before are so again");
}

static void play_switchover(struct drill *drill, unsigned active, unsigned standby)
{
	drill_mark_harm(drill, "switchover to slot %u", standby);
	if (drill_switch(drill, standby))
		return;
	drill_look(drill);
	drill_pass_time(drill, LEAD);
	drill_mark(drill, "switchover back to slot %u", active);
	drill_switch(drill, active);
}

static void play_stop(struct drill *drill, unsigned active, unsigned standby)
{
	(void)standby;
	drill_mark_harm(drill, "slot %u is told to stop", active);
	if (run_job(drill, UNIT_STOP, active))
		return;
	if (!drill_wait(drill, drill_is_not_active, active, FLIP_WITHIN,
			"no other slot became active"))
		return;
	drill_mark(drill, "slot %u is started again", active);
	if (!run_job(drill, UNIT_START, active))
		wait_until_whole(drill);
}

static void play_crash(struct drill *drill, unsigned active, unsigned standby)
{
	(void)standby;
	drill_mark_harm(drill, "slot %u is killed", active);
	if (drill_kill(drill, active, SIGKILL) < 0)
		return;
	if (!drill_wait(drill, drill_is_not_active, active, FLIP_WITHIN,
			"no other slot became active"))
		return;
	/* with RestartOnCrash=no it is for us to start it, see drill_put_back() */
	drill_wait(drill, drill_all_ready, 0, 5 * USEC_PER_SEC, NULL);
}

static void play_hang(struct drill *drill, unsigned active, unsigned standby)
{
	(void)standby;
	drill_mark_harm(drill, "slot %u is halted", active);
	if (drill_kill(drill, active, SIGSTOP) < 0)
		return;
	drill_wait(
		drill, drill_is_not_active, active, FLIP_WITHIN,
		"the hang was not noticed: no other slot became active (see Failover= and Stall=)");
	drill_mark(drill, "slot %u is let go on", active);
	drill_kill(drill, active, SIGCONT);
	wait_until_whole(drill);
}

static bool is_starting(const struct drill *drill, unsigned slot)
{
	return slot < drill->seen.n && strcmp(drill->seen.states[slot], "ready") &&
	       strcmp(drill->seen.states[slot], "stopping") &&
	       strcmp(drill->seen.states[slot], "leaving");
}

static void play_slow_start(struct drill *drill, unsigned active, unsigned standby)
{
	struct unit_job *job = NULL;
	char unit[UNIT_NAME_MAX];

	unit_of(drill, standby, unit);
	drill_mark_harm(drill, "slot %u is restarted", standby);
	if (unit_job_new(drill->systemd, UNIT_RESTART, unit, NULL, NULL, &job) < 0) {
		drill_break(drill, "systemd does not take the restart of %s", unit);
		return;
	}
	sd_bus_flush(drill->systemd);
	unit_job_free(job);
	if (drill_wait(drill, is_starting, standby, 10 * USEC_PER_SEC, NULL)) {
		drill_kill(drill, standby, SIGSTOP);
		drill_mark(drill, "slot %u is halted while it starts", standby);
		drill_pass_time(drill, HELD_FOR);
		drill_kill(drill, standby, SIGCONT);
		drill_mark(drill, "slot %u is let go on", standby);
	}
	if (!drill_is_active(drill, active))
		drill_break(drill, "slot %u did not stay active", active);
	wait_until_whole(drill);
}

/* The upgrade must say no, and traffic must be where it was. */
static void play_bad_build(struct drill *drill, unsigned active, unsigned standby)
{
	_cleanup_(reply_done) struct reply reply = {0};
	struct client_call call = {
		.service = drill->service,
		.method = "Upgrade",
		.timeout_usec = BACK_WITHIN,
	};
	enum client_answer answer;

	if (drill_spoil(drill, standby, true) < 0)
		return;
	drill_mark_harm(drill, "upgrade to a version that does not start, in slot %u", standby);
	answer = client_ask(drill->arguments, &call, &reply, "sttttau", "", UINT64_C(0),
			    UINT64_C(0), UINT64_C(0), FLIP_WITHIN, 0);
	drill_mark(drill, "%.140s", reply.problem.text);
	if (answer == CLIENT_ANSWERED)
		drill_break(drill, "the upgrade to a version that does not start went through");
	else if (reply.exit != EXIT_UNDONE)
		drill_break(drill, "the upgrade was not undone: %.300s", reply.problem.text);
	if (!drill_look(drill) && !drill_is_active(drill, active))
		drill_break(drill, "slot %u is not active any more", active);
	drill_spoil(drill, standby, false);
	drill_mark(drill, "slot %u is started with the version that it had", standby);
	if (!run_job(drill, UNIT_RESTART, standby))
		wait_until_whole(drill);
}

static int kill_manager(struct drill *drill)
{
	struct problem problem = {0};
	int r = units_kill(drill->systemd, "hsd.service", SIGKILL, &problem);

	if (r < 0)
		drill_break(drill, "%.400s", problem.text);
	return r;
}

static void play_manager_crash(struct drill *drill, unsigned active, unsigned standby)
{
	(void)standby;
	drill_mark_harm(drill, "hsd is killed");
	if (kill_manager(drill) < 0)
		return;
	drill_mark(drill, "slot %u is killed", active);
	if (drill_kill(drill, active, SIGKILL) < 0)
		return;
	if (!drill_wait(drill, drill_is_not_active, active, FLIP_WITHIN,
			"no other slot became active"))
		return;
	drill_wait(drill, drill_all_ready, 0, 5 * USEC_PER_SEC, NULL);
}

static void play_both_down(struct drill *drill, unsigned active, unsigned standby)
{
	drill_mark_harm(drill, "all slots are told to stop");
	if (run_job(drill, UNIT_STOP, standby) || run_job(drill, UNIT_STOP, active))
		return;
	drill_pass_time(drill, LEAD);
	drill_mark(drill, "the slots are started again");
	if (!run_job(drill, UNIT_START, active) && !run_job(drill, UNIT_START, standby))
		wait_until_whole(drill);
}

typedef void (*scenario_fn)(struct drill *drill, unsigned active, unsigned standby);

static const scenario_fn scenarios[DRILL_SCENARIO_COUNT] = {
	[DRILL_SWITCHOVER] = play_switchover,
	[DRILL_STOP] = play_stop,
	[DRILL_CRASH] = play_crash,
	[DRILL_HANG] = play_hang,
	[DRILL_SLOW_START] = play_slow_start,
	[DRILL_BAD_BUILD] = play_bad_build,
	[DRILL_MANAGER_CRASH] = play_manager_crash,
	[DRILL_BOTH_DOWN] = play_both_down,
};

void drill_play(struct drill *drill)
{
	scenario_fn play = scenarios[drill->run->scenario];

	drill_pass_time(drill, LEAD);
	if (play && !drill_interrupted)
		play(drill, drill->seen.active, drill_standby(drill));
	if (!drill_interrupted)
		drill_pass_time(drill, LEAD);
}
