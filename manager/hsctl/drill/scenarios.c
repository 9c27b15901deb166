// SPDX-License-Identifier: GPL-2.0-or-later
/* What is done to the service in each scenario, and what it must do then. */
#include <signal.h>
#include <string.h>

#include "hsctl/client.h"
#include "hsctl/drill/drill.h"
#include "hsctl/verb/verb.h"
#include "util/clock.h"
#include "util/macro.h"

#define BACK_WITHIN   (120 * USEC_PER_SEC)
#define BY_ITSELF     (5 * USEC_PER_SEC)
#define UPGRADE_READY (30 * USEC_PER_SEC)

static const char slow_start[] = "/bin/sleep 2";
static const char bad_start[] = "/bin/sh -c \"exit 1\"";

/* Nothing is to be waited for when something else has gone wrong; what was harmed is put back after
 * that. */
static bool is_whole_or_broken(const struct drill *drill, unsigned slot)
{
	return drill_is_whole(drill, slot) || drill->broken.text[0];
}

static void wait_until_whole(struct drill *drill)
{
	drill_wait(drill, is_whole_or_broken, 0, BACK_WITHIN,
		   "not all slots that were ready before are so again");
}

static bool is_decided(const struct drill *drill, unsigned active)
{
	return drill_is_not_active(drill, active) || drill->broken.text[0];
}

static bool wait_for_flip(struct drill *drill, unsigned active, const char *hint)
{
	char within[SPAN_TEXT_MAX];

	if (drill_wait(drill, is_decided, active, drill->flip_within, NULL))
		return drill_is_not_active(drill, active);
	if (!drill_interrupted)
		drill_break(drill, "no other slot became active within %s%s",
			    span_format(drill->flip_within, within, sizeof(within)), hint);
	return false;
}

static void play_switchover(struct drill *drill, unsigned active, unsigned standby)
{
	/* where only one may run it stops the one and starts the other */
	drill_mark_harm(drill, drill->direct.config.exclusive ? ~0U : 0, "switchover to slot %u",
			standby);
	if (drill_switch(drill, standby))
		return;
	drill_pass_time(drill, drill->lead);
	if (drill_interrupted)
		return;
	drill_mark(drill, "switchover back to slot %u", active);
	drill_switch(drill, active);
}

static void start_again(struct drill *drill, unsigned slot)
{
	drill_pass_time(drill, drill->lead);
	if (drill_interrupted)
		return;
	drill_mark(drill, "systemctl start of slot %u", slot);
	if (drill_job(drill, UNIT_START, slot))
		wait_until_whole(drill);
}

static void play_stop(struct drill *drill, unsigned active, unsigned standby)
{
	(void)standby;
	drill_mark_harm(drill, 1U << active, "systemctl stop of slot %u", active);
	if (!drill_job(drill, UNIT_STOP, active) || !wait_for_flip(drill, active, ""))
		return;
	start_again(drill, active);
}

static void play_crash(struct drill *drill, unsigned active, unsigned standby)
{
	(void)standby;
	drill_mark_harm(drill, 1U << active, "kill -9 of slot %u", active);
	if (drill_kill(drill, active, SIGKILL) < 0)
		return;
	drill_mark_certain(drill);
	if (!wait_for_flip(drill, active, ""))
		return;
	/* with RestartOnCrash=no it is for us to start it, see drill_put_back() */
	drill_wait(drill, drill_is_whole, 0, BY_ITSELF, NULL);
}

static void play_hang(struct drill *drill, unsigned active, unsigned standby)
{
	(void)standby;
	drill_mark_harm(drill, 1U << active, "slot %u is halted (SIGSTOP)", active);
	if (drill_kill(drill, active, SIGSTOP) < 0)
		return;
	drill_mark_certain(drill);
	wait_for_flip(drill, active, ", so the hang was not noticed (see Failover= and Stall=)");
	if (drill_interrupted)
		return;
	drill_mark(drill, "slot %u is let go on (SIGCONT)", active);
	drill_kill(drill, active, SIGCONT);
	wait_until_whole(drill);
}

static void check_active(struct drill *drill, unsigned active)
{
	if (!drill_interrupted && !drill_is_active(drill, active))
		drill_break(drill, "slot %u did not stay active", active);
}

static void play_slow_start(struct drill *drill, unsigned active, unsigned standby)
{
	bool started;

	if (drill_spoil(drill, standby, slow_start) < 0)
		return;
	drill_mark_harm(drill, 1U << standby, "slot %u is restarted, and takes 2 s longer",
			standby);
	started = drill_job(drill, UNIT_RESTART, standby);
	check_active(drill, active);
	drill_mend(drill, standby);
	if (started)
		wait_until_whole(drill);
}

/* The upgrade must say no, and traffic must be where it was. False when the drill ends here. */
static bool try_bad_build(struct drill *drill, unsigned active, unsigned standby, uint32_t harmed)
{
	_cleanup_(reply_done) struct reply reply = {0};
	struct client_call call = {
		.service = drill->service,
		.method = "Upgrade",
		.timeout_usec = BACK_WITHIN,
		.on_progress = drill_on_progress,
		.userdata = drill,
		.interrupted = &drill_interrupted,
		.cancel_method = "CancelUpgrade",
	};
	enum client_answer answer;

	if (drill_spoil(drill, standby, bad_start) < 0)
		return false;
	drill_mark_harm(drill, harmed, "upgrade to a version that does not start, in slot %u",
			standby);
	answer = client_ask(drill->arguments, &call, &reply, "sbttttau", "", 0, UINT64_C(0),
			    UINT64_C(0), UINT64_C(0), UPGRADE_READY, 0);
	drill_look(drill);
	drill_mark(drill, "hsd says: %.140s", reply.problem.text);
	if (drill_interrupted)
		return false;
	if (answer == CLIENT_ANSWERED)
		drill_break(drill, "the upgrade to a version that does not start went through");
	else if (reply.exit != EXIT_UNDONE)
		drill_break(drill, "the upgrade was not undone: %.300s", reply.problem.text);
	check_active(drill, active);
	drill_mend(drill, standby);
	return true;
}

static void play_bad_build(struct drill *drill, unsigned active, unsigned standby)
{
	if (!try_bad_build(drill, active, standby, 1U << standby))
		return;
	drill_mark(drill, "slot %u is started with the version that it had", standby);
	if (drill_job(drill, UNIT_RESTART, standby))
		wait_until_whole(drill);
}

static int kill_manager(struct drill *drill)
{
	struct problem problem = {0};
	int r = units_kill(drill->direct.systemd, "hsd.service", SIGKILL, &problem);

	if (r < 0)
		drill_break(drill, "%.400s", problem.text);
	return r;
}

static void play_manager_crash(struct drill *drill, unsigned active, unsigned standby)
{
	(void)standby;
	drill_mark_harm(drill, 1U << active, "kill -9 of hsd, and of slot %u", active);
	if (kill_manager(drill) < 0 || drill_kill(drill, active, SIGKILL) < 0)
		return;
	drill_mark_certain(drill);
	if (wait_for_flip(drill, active, "; did hsd come back?"))
		drill_wait(drill, drill_is_whole, 0, BY_ITSELF, NULL);
}

static void play_both_down(struct drill *drill, unsigned active, unsigned standby)
{
	drill_mark_harm(drill, ~0U, "systemctl stop of slot %u, then of slot %u", standby, active);
	if (!drill_job(drill, UNIT_STOP, standby) || !drill_job(drill, UNIT_STOP, active))
		return;
	drill_pass_time(drill, drill->lead);
	if (drill_interrupted)
		return;
	drill_mark(drill, "systemctl start of both");
	if (drill_job(drill, UNIT_START, active) && drill_job(drill, UNIT_START, standby))
		wait_until_whole(drill);
}

/* ---- of an exclusive service: the standby is down, and clients wait ---- */

static void wait_for_return(struct drill *drill, unsigned active)
{
	char within[SPAN_TEXT_MAX];

	drill_wait(drill, drill_is_not_ready, active, BY_ITSELF, NULL);
	if (drill_wait(drill, drill_is_whole, 0, drill->flip_within, NULL) || drill_interrupted)
		return;
	drill_break(drill, "slot %u did not come back by itself within %s (see RestartOnCrash=)",
		    active, span_format(drill->flip_within, within, sizeof(within)));
}

static void play_alone_stop(struct drill *drill, unsigned active, unsigned standby)
{
	(void)standby;
	drill_mark_harm(drill, ~0U, "systemctl stop of slot %u", active);
	if (drill_job(drill, UNIT_STOP, active))
		start_again(drill, active);
}

static void play_alone_crash(struct drill *drill, unsigned active, unsigned standby)
{
	(void)standby;
	drill_mark_harm(drill, ~0U, "kill -9 of slot %u", active);
	if (drill_kill(drill, active, SIGKILL) >= 0)
		wait_for_return(drill, active);
}

static void play_alone_bad_build(struct drill *drill, unsigned active, unsigned standby)
{
	if (try_bad_build(drill, active, standby, ~0U) && !drill->broken.text[0])
		wait_until_whole(drill);
}

static void play_alone_manager_crash(struct drill *drill, unsigned active, unsigned standby)
{
	(void)standby;
	drill_mark_harm(drill, ~0U, "kill -9 of hsd, and of slot %u", active);
	if (kill_manager(drill) >= 0 && drill_kill(drill, active, SIGKILL) >= 0)
		wait_for_return(drill, active);
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

/* See drill_scenario_objection() for the others. */
static const scenario_fn alone_scenarios[DRILL_SCENARIO_COUNT] = {
	[DRILL_SWITCHOVER] = play_switchover,
	[DRILL_STOP] = play_alone_stop,
	[DRILL_CRASH] = play_alone_crash,
	[DRILL_BAD_BUILD] = play_alone_bad_build,
	[DRILL_MANAGER_CRASH] = play_alone_manager_crash,
};

/* ---- before and after ---- */

static bool was_answered(const struct drill *drill, unsigned slot)
{
	size_t total, answered;

	(void)slot;
	drillprober_counts(drill->prober, &total, &answered);
	return answered;
}

/* A service that does not answer as it is proves nothing, and is not harmed on top of it. */
static bool lead_in(struct drill *drill)
{
	size_t total, answered;

	drill_pass_time(drill, drill->lead);
	if (!drill_interrupted && !was_answered(drill, 0))
		drill_wait(drill, was_answered, 0, drill->run->timeout_usec, NULL);
	if (drill_interrupted)
		return false;
	drillprober_counts(drill->prober, &total, &answered);
	if (!answered)
		problem_set(&drill->unmeasured, 0,
			    "nothing was done: %s answers no connection as it is, at %s; is that "
			    "the right question? See --probe=",
			    drill->service, drill->run->asked);
	else if (total - answered > drill->run->lead_lost)
		problem_set(&drill->unmeasured, 0,
			    "nothing was done: %zu of %zu connections to %s were lost before "
			    "anything was done to it",
			    total - answered, total, drill->service);
	return !drill->unmeasured.text[0] && !drill->broken.text[0];
}

void drill_play(struct drill *drill)
{
	scenario_fn play;
	unsigned standby;

	if (!lead_in(drill))
		return;
	standby = drill_standby(drill);
	if (drill->seen.active >= HS_SLOTS_MAX || standby >= HS_SLOTS_MAX) {
		drill_break(drill, "the standby was lost before anything was done");
		return;
	}
	play = (drill->direct.config.exclusive ? alone_scenarios : scenarios)[drill->run->scenario];
	if (play)
		play(drill, drill->seen.active, standby);
	if (!drill_interrupted)
		drill_pass_time(drill, drill->lead);
}
