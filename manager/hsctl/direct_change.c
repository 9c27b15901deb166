// SPDX-License-Identifier: GPL-2.0-or-later
/* A change driven by this process: the state machine of core/change/switchover.h with a wait
 * between its steps. */
#include <signal.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "hsctl/direct_roles.h"
#include "hsctl/json.h"
#include "plane/act/retire.h"
#include "service/change/change.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* How often the target is looked at: nobody tells us when it dies. */
#define LOOK_EVERY (20 * USEC_PER_MSEC)
/* How long connections that were queued at the flip may take to be accepted before the old instance
 * is told that it is not active any more. */
#define QUEUE_TIME (1 * USEC_PER_SEC)
/* How long units that are started then are waited for, to tell how that ended. */
#define ROLES_TIME (2 * USEC_PER_SEC)

struct run {
	struct direct *direct;
	const struct direct_order *order;
	struct service_change change;
	struct direct_roles roles;
	bool told;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

/* Ctrl-C ends the waiting, not the bookkeeping: the flip has happened. */
static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static void sleep_until(uint64_t usec)
{
	struct timespec until = {
		.tv_sec = usec / USEC_PER_SEC,
		.tv_nsec = usec % USEC_PER_SEC * NSEC_PER_USEC,
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void tell(const struct run *run)
{
	json_object *object;

	if (!run->order->on_progress)
		return;
	object = report_progress(&run->change.machine, run->direct->service, now_usec());
	run->order->on_progress(json_line(object), run->order->userdata);
	json_object_put(object);
}

/* The old instance may hang, and with it what waits there. */
static void move_queue(const struct run *run)
{
	unsigned from = run->change.machine.plan.from;
	struct unit_facts facts = {0};
	struct problem problem;
	int r;

	direct_unit(run->direct, from, &facts);
	r = facts.control_group[0]
		    ? direct_bounce(run->direct, from, facts.control_group, true, &problem)
		    : problem_set(&problem, -ENODATA, "systemd does not tell its control group");
	if (r > 0)
		direct_nudge(run->direct, from);
	if (r < 0)
		complain("what waits on slot %u could not be moved: %s", from, problem.text);
	unit_facts_done(&facts);
}

static void carry_out(struct run *run, unsigned actions)
{
	if (actions & SWITCHOVER_DO_TELL)
		tell(run);
	if (actions & SWITCHOVER_DO_BOUNCE)
		move_queue(run);
	if (actions & SWITCHOVER_DO_FLIP)
		carry_out(run, change_flip(&run->change, now_usec()));
}

/* As soon as the flip has settled and the queue is empty; the draining goes on meanwhile. */
static void tell_roles(struct run *run)
{
	const struct switchover *machine = &run->change.machine;
	unsigned from = machine->plan.from;
	uint32_t queued[HS_PLACES_MAX];

	if (run->told || machine->state < SWITCHOVER_DRAIN)
		return;
	/* what is not known is not empty */
	(void)plane_queued(run->direct->plane, queued);
	if (machine->state == SWITCHOVER_DRAIN && from < HS_SLOTS_MAX &&
	    now_usec() - machine->entered < QUEUE_TIME && queued[from])
		return;
	run->told = true;
	direct_roles_tell(run->direct, &run->roles);
}

/* Also when it was undone afterwards, or the waiting was cut short. */
static void end_roles(struct run *run)
{
	direct_roles_end(run->direct, &run->roles, true, ROLES_TIME);
	direct_roles_tell(run->direct, &run->roles);
	direct_roles_end(run->direct, &run->roles, true, ROLES_TIME);
}

static void drive(struct run *run)
{
	const struct switchover *machine = &run->change.machine;

	carry_out(run, change_begin(&run->change, now_usec()));
	while (!switchover_ended(machine) && !interrupted) {
		uint64_t now = now_usec();

		sleep_until(MIN(switchover_wake(machine, now), now + LOOK_EVERY));
		carry_out(run, change_tick(&run->change, now_usec()));
		tell_roles(run);
	}
	end_roles(run);
}

/* What is left when the waiting was cut short: the word is as the flip left it. */
static int answer_interrupted(const struct run *run, struct reply *ret_reply)
{
	const struct switchover_plan *plan = &run->change.machine.plan;
	struct journal_scope scope = {run->direct->service, plan->to, LOG_WARNING};

	reply_fail(
		ret_reply, EXIT_FAILED,
		"%s: interrupted: slot %u is active since the flip, and what the old instance had "
		"to finish was not waited for",
		run->direct->service, plan->to);
	journal_log(JOURNAL_SWITCHOVER, &scope, "%s", ret_reply->problem.text);
	return ret_reply->exit;
}

static int answer(const struct run *run, struct reply *ret_reply)
{
	static const int exits[SWITCHOVER_STATE_COUNT] = {
		[SWITCHOVER_UNDONE] = EXIT_UNDONE,
		[SWITCHOVER_FAILED] = EXIT_FAILED,
	};
	const struct switchover *machine = &run->change.machine;
	_cleanup_(json_object_putp) json_object *object = NULL;
	struct switchover_result result;

	if (!switchover_ended(machine))
		return answer_interrupted(run, ret_reply);
	change_result(&run->change, now_usec(), &result);
	change_log(&run->change, &result);
	object = report_change(machine, run->direct->service, &result);
	if (machine->state != SWITCHOVER_DONE)
		return reply_fail(ret_reply, exits[machine->state], "%s",
				  json_text(object, "message"));
	ret_reply->text = strdup(json_line(object));
	return ret_reply->exit = EXIT_DONE;
}

static void set_times(const struct direct *direct, const struct direct_order *order,
		      struct switchover_plan *plan)
{
	const struct config *config = &direct->config;

	plan->settle_usec =
		order->settle_usec == USEC_INFINITY ? config->settle_usec : order->settle_usec;
	plan->drain_usec =
		order->drain_usec == USEC_INFINITY ? config->drain_usec : order->drain_usec;
	/* nobody else goes on with it when we leave; to keep the old instance there is no need */
	plan->drain_usec = MIN(plan->drain_usec, order->timeout_usec);
	if (order->no_block || order->verb == VERB_ROLLBACK)
		plan->drain_usec = 0;
}

/* Stopping a unit while watching over the traffic is the daemon's work. */
static int check_then(const struct direct *direct, const struct direct_order *order,
		      struct reply *ret_reply)
{
	enum switchover_then then = order->then == THEN_COUNT ? direct->config.then : order->then;

	if (direct->config.exclusive)
		return reply_fail(ret_reply, EXIT_FAILED,
				  "%s: Exclusive=yes: to stop the one instance and start the other "
				  "needs hsd; start it: systemctl start hsd",
				  direct->service);
	if (order->verb != VERB_SWITCHOVER || then == THEN_KEEP)
		return EXIT_DONE;
	return reply_fail(ret_reply, EXIT_FAILED,
			  "%s: to %s the old instance afterwards needs hsd; start it (systemctl "
			  "start hsd), or use --then=keep and systemctl %s by hand",
			  direct->service, switchover_then_to_string(then),
			  switchover_then_to_string(then));
}

static int ask_gate(const struct direct *direct, const struct direct_order *order, bool busy,
		    struct switchover_plan *ret_plan, struct reply *ret_reply)
{
	enum slot_state states[HS_SLOTS_MAX];
	struct change_request request = {
		.verb = order->verb,
		.states = states,
		.n = direct->config.slots,
		.to = order->to,
		.busy = busy,
	};
	struct problem refusal = {0};

	direct_states(direct, states);
	if (change_gate(direct->plane, &request, ret_plan, &refusal) == GATE_OPEN)
		return EXIT_DONE;
	return reply_fail(ret_reply, EXIT_REFUSED, "%s", refusal.text);
}

int direct_change(const char *service, const struct direct_order *order, struct reply *ret_reply)
{
	_cleanup_(direct_close) struct direct direct = {0};
	_cleanup_(close_fdp) int lock = -1;
	struct run run = {.direct = &direct, .order = order};
	struct problem problem = {0};
	struct switchover_plan plan;
	int r;

	if (direct_open(service, &direct, &problem) < 0)
		return reply_fail(ret_reply, EXIT_FAILED, "%s", problem.text);
	if (check_then(&direct, order, ret_reply))
		return ret_reply->exit;
	r = plane_lock(direct.plane, &lock);
	if (r < 0 && r != -EBUSY)
		return reply_fail(ret_reply, EXIT_FAILED, "cannot lock %s: %s", service,
				  strerror(-r));
	if (ask_gate(&direct, order, r == -EBUSY, &plan, ret_reply))
		return ret_reply->exit;
	set_times(&direct, order, &plan);
	change_init(&run.change, direct.plane, &plan);
	run.change.uid = journal_own_uid();
	catch_signals();
	drive(&run);
	return answer(&run, ret_reply);
}
