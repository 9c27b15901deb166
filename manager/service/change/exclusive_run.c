// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/exclusive_run.h"

#include "plane/peers.h"
#include "service/change/parking.h"
#include "service/keep/park.h"
#include "service/report/report.h"
#include "service/slot/instance.h"
#include "service/slot/states.h"
#include "service/watch/health.h"
#include "util/clock.h"
#include "util/macro.h"

/* A unit that has started, and whose sockets are still to come. */
#define ADOPT_USEC (10 * USEC_PER_SEC)

struct exclusive_run {
	struct run run;
	struct exclusive machine;
	struct plane_undo undo; /* to take it back */
	uint32_t waited;	/* or QUEUED_UNKNOWN */
};

static struct exclusive_run *exclusive_of(const struct run *run)
{
	return container_of(run, struct exclusive_run, run);
}

const struct exclusive *exclusive_run_machine(const struct run *run)
{
	return &exclusive_of(run)->machine;
}

bool exclusive_run_blocks(const struct service *service, struct problem *ret_refusal)
{
	if (!service->runs[SERVICE_EXCLUSIVE])
		return false;
	problem_set(ret_refusal, 0,
		    "%s: its %s holds new connections until the new instance is ready, and lets "
		    "them go then; see hsctl status %s",
		    service->name, service->runs[SERVICE_EXCLUSIVE]->verb, service->name);
	return true;
}

/* ---- the word ---- */

static void hold(struct exclusive_run *run)
{
	struct plane *plane = run->run.service->plane;

	/* what rollback will need, and the next hsd, should this one die */
	run->undo.cookie = plane_slot_cookie(plane, run->machine.plan.from);
	plane_edit_word(plane, word_hold, NULL, &run->undo);
}

/* The slot that came is the active one, and what waits goes there. */
static void release(struct exclusive_run *run)
{
	const struct exclusive *machine = &run->machine;
	bool done = machine->state == EXCLUSIVE_DONE;
	struct plane *plane = run->run.service->plane;
	unsigned to = done ? machine->plan.to : machine->plan.from;

	run->waited = parking_waiting(plane);
	if (machine->state == EXCLUSIVE_FAILED)
		to = HS_SLOT_NONE;
	plane_edit_word(plane, word_release, WORD_ARGS(.to = to), NULL);
	if (!done)
		plane_remember(plane, run->undo.previous_word, run->undo.previous_cookie);
	else if (machine->plan.verb == VERB_ROLLBACK)
		plane_remember(plane, 0, 0);
	park_look(run->run.service->park);
}

/* ---- telling ---- */

static json_object *progress(struct run *run)
{
	struct exclusive *machine = &exclusive_of(run)->machine;

	machine->waiting = parking_waiting(run->service->plane);
	return report_exclusive_progress(machine, run->service->name, now_usec());
}

static enum run_result describe(struct run *run, struct problem *ret_sentence)
{
	const struct exclusive_run *exclusive = exclusive_of(run);
	enum exclusive_state state = exclusive->machine.state;

	exclusive_describe(&exclusive->machine, run->service->name, now_usec(), exclusive->waited,
			   ret_sentence);
	if (state == EXCLUSIVE_DONE)
		return RUN_DONE;
	return state == EXCLUSIVE_UNDONE ? RUN_UNDONE : RUN_FAILED;
}

static json_object *outcome(struct run *run)
{
	const struct exclusive_run *exclusive = exclusive_of(run);

	return report_exclusive(&exclusive->machine, run->service->name, now_usec(),
				exclusive->waited);
}

/* ---- driving ---- */

static void read_health(const struct exclusive_run *run, struct exclusive_input *input)
{
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(run->run.service, buffer);
	unsigned to = run->machine.plan.to;

	input->healthy = !health || (to < HS_SLOTS_MAX && health[to].state == HEALTH_GOOD);
	/* the words are the health's own: they stay until the event loop runs on */
	if (!input->healthy && !input->why && to < HS_SLOTS_MAX)
		input->why = health[to].reason;
}

static unsigned step(struct exclusive_run *run, enum exclusive_event event, const char *why)
{
	struct service *service = run->run.service;
	const struct exclusive_plan *plan = &run->machine.plan;
	enum slot_state states[HS_SLOTS_MAX] = {0};
	struct exclusive_input input = {.event = event, .now = now_usec(), .why = why};

	service_states(service, states);
	input.remaining = plane_remaining(service->plane, plan->from);
	input.waiting = parking_waiting(service->plane);
	input.old_slot = plan->from < service->n_slots ? states[plan->from] : SLOT_DOWN;
	input.new_slot = plan->to < service->n_slots ? states[plan->to] : SLOT_DOWN;
	read_health(run, &input);
	return exclusive_step(&run->machine, &input);
}

static uint64_t wake(const struct run *run, uint64_t now)
{
	return exclusive_wake(exclusive_run_machine(run), now);
}

static unsigned look(struct run *run)
{
	return step(exclusive_of(run), EXCLUSIVE_TICK, NULL);
}

static unsigned on_job_ended(struct run *run, const char *failure)
{
	return step(exclusive_of(run), failure ? EXCLUSIVE_JOB_FAILED : EXCLUSIVE_JOB_DONE, NULL);
}

static unsigned on_smoke_ended(struct run *run, const char *failure)
{
	return step(exclusive_of(run), failure ? EXCLUSIVE_JOB_FAILED : EXCLUSIVE_JOB_DONE,
		    failure);
}

static unsigned start_smoke(struct run *run)
{
	uint64_t now = now_usec(), deadline = exclusive_of(run)->machine.deadline;

	return run_start_smoke(run, run->to, deadline > now ? deadline - now : 1);
}

static void prepare(struct run *run, unsigned actions)
{
	if (actions & EXCLUSIVE_DO_HOLD)
		hold(exclusive_of(run));
	if (actions & EXCLUSIVE_DO_RELEASE)
		release(exclusive_of(run));
}

static unsigned carry_out(struct run *run, unsigned actions)
{
	if (actions & EXCLUSIVE_DO_STOP_OLD)
		return run_start_job(run, UNIT_STOP, run->from);
	if (actions & EXCLUSIVE_DO_START_NEW)
		return run_start_job(run, UNIT_START, run->to);
	if (actions & EXCLUSIVE_DO_STOP_NEW)
		return run_start_job(run, UNIT_STOP, run->to);
	if (actions & EXCLUSIVE_DO_START_OLD)
		return run_start_job(run, UNIT_START, run->from);
	if (actions & EXCLUSIVE_DO_SMOKE)
		return start_smoke(run);
	return actions & EXCLUSIVE_DO_HOLD ? look(run) : 0;
}

static const struct run_kind kind = {
	.work = SERVICE_EXCLUSIVE,
	.size = sizeof(struct exclusive_run),
	.do_tell = EXCLUSIVE_DO_TELL,
	.do_end = EXCLUSIVE_DO_END,
	.next_goes_on = true,
	.wake = wake,
	.look = look,
	.prepare = prepare,
	.carry_out = carry_out,
	.job_ended = on_job_ended,
	.smoke_ended = on_smoke_ended,
	.progress = progress,
	.describe = describe,
	.outcome = outcome,
};

void exclusive_run_cancel(struct service *service, const char *why)
{
	struct run *run = service->runs[SERVICE_EXCLUSIVE];

	run_go_on(run, step(exclusive_of(run), EXCLUSIVE_CANCEL, why));
}

/* ---- beginning ---- */

uint64_t exclusive_ready_default(const struct service *service)
{
	return MAX(service->config.park_timeout_usec / 2, ADOPT_USEC);
}

static int begin(struct service *service, const struct exclusive_order *order,
		 const struct exclusive_plan *plan, enum exclusive_state state,
		 struct request **request)
{
	struct run *run;
	int r = run_new(&kind, service, &run);

	if (r < 0)
		return r;
	run->journal = plan->verb == VERB_ROLLBACK ? JOURNAL_ROLLBACK : JOURNAL_SWITCHOVER;
	run->verb = switchover_verb_to_string(plan->verb);
	run->from = plan->from;
	run->to = plan->to;
	run->by = order->by ? *order->by : JOURNAL_NOBODY;
	run->of_upgrade = order->of_upgrade;
	run->smoke_may_be_silent = order->smoke_may_be_silent;
	run->smoke_command = strdup(order->smoke ?: "");
	r = run->smoke_command ? plane_lock(service->plane, &run->lock_fd) : -ENOMEM;
	if (r < 0) {
		run_free(run);
		return r;
	}
	run_begin(run, request,
		  exclusive_begin(&exclusive_of(run)->machine, plan, state, now_usec()));
	return 0;
}

/* Back to the slot that the last switchover left. It need not live: it is started anew. */
static int previous_slot(const struct service *service)
{
	uint64_t word, cookie;

	plane_previous(service->plane, &word, &cookie);
	return cookie ? (int)hs_word_active(word) : GATE_STANDBY;
}

enum gate_answer exclusive_run_may(const struct service *service,
				   const struct exclusive_order *order, unsigned *ret_from,
				   unsigned *ret_to, struct problem *ret_refusal)
{
	enum slot_state states[HS_SLOTS_MAX];
	struct exclusive_request request = {
		.states = states,
		.n = service->n_slots,
		.active = hs_word_active(plane_word(service->plane)),
		.to = order->verb == VERB_ROLLBACK ? previous_slot(service) : order->to,
		.busy = run_is_barred(service, order->of_upgrade, true),
		.park = service->config.park && plane_has_park(service->plane),
		.mptcp = service->config.mptcp == MPTCP_KEEP,
	};

	if (order->verb == VERB_ROLLBACK && request.to < 0) {
		gate_describe(GATE_NOTHING_TO_UNDO, service->name, HS_SLOT_NONE, SLOT_DOWN,
			      ret_refusal);
		return GATE_NOTHING_TO_UNDO;
	}
	service_states(service, states);
	*ret_from = request.active;
	return exclusive_gate(&request, service->name, ret_to, ret_refusal);
}

static struct exclusive_plan plan_of(const struct service *service,
				     const struct exclusive_order *order, unsigned from,
				     unsigned to)
{
	uint64_t ready = order->ready_usec;

	return (struct exclusive_plan) {
		.verb = order->verb,
		.from = from,
		.to = to,
		.drain_usec = order->verb == VERB_SWITCHOVER ? order->drain_usec : 0,
		.prove = service->config.health.n_probes,
		.smoke = order->smoke && order->smoke[0],
		.smoke_usec = order->smoke_usec,
		.ready_usec = ready ?: USEC_INFINITY,
		.late_usec = ready ?: exclusive_ready_default(service),
		.park_usec = ready ? service->config.park_timeout_usec : 0,
	};
}

int exclusive_run_start(struct service *service, const struct exclusive_order *order,
			struct request **request, enum gate_answer *ret_answer,
			struct problem *ret_refusal)
{
	struct exclusive_plan plan;
	unsigned from, to;
	int r;

	*ret_answer = exclusive_run_may(service, order, &from, &to, ret_refusal);
	if (*ret_answer != GATE_OPEN)
		return 0;
	plan = plan_of(service, order, from, to);
	r = begin(service, order, &plan, EXCLUSIVE_HOLD, request);
	if (r != -EBUSY)
		return r;
	*ret_answer = GATE_BUSY;
	gate_describe(GATE_BUSY, service->name, plan.to, SLOT_DOWN, ret_refusal);
	return 0;
}

int exclusive_run_back(struct service *service, const struct exclusive_order *order, unsigned from)
{
	struct exclusive_plan plan = plan_of(service, order, from, order->to);

	plan.prove = false;
	return begin(service, order, &plan, EXCLUSIVE_HOLD, NULL);
}

/* Of a switchover by itself; one in an upgrade is the upgrade's. */
static void resume_switchover(struct service *service)
{
	static const struct exclusive_order order = {.verb = VERB_SWITCHOVER};
	struct exclusive_plan plan = plan_of(service, &order, HS_SLOT_NONE, HS_SLOT_NONE);
	enum slot_state states[HS_SLOTS_MAX];
	enum exclusive_state state;
	uint64_t word, cookie;

	plan.resumed = true;
	plane_previous(service->plane, &word, &cookie);
	plan.from = hs_word_active(cookie ? word : plane_word(service->plane));
	service_states(service, states);
	state = exclusive_resume(states, service->n_slots, plan.from, &plan.to);
	begin(service, &order, &plan, state, NULL);
}

void exclusive_check(const struct service *service, struct problem *ret_problem)
{
	enum slot_state states[HS_SLOTS_MAX];
	unsigned first = HS_SLOT_NONE;

	if (!service->config.exclusive)
		return;
	service_states(service, states);
	for (unsigned i = 0; i < service->n_slots; i++) {
		if (!exclusive_is_up(states[i]) || states[i] == SLOT_STOPPING ||
		    states[i] == SLOT_UNKNOWN)
			continue;
		if (first != HS_SLOT_NONE)
			problem_set(ret_problem, 0,
				    "slots %u and %u run at the same time, though Exclusive=yes; "
				    "stop one of them: systemctl stop %s@%u",
				    first, i, service->name,
				    first == hs_word_active(plane_word(service->plane)) ? i
											: first);
		else
			first = i;
	}
}

void exclusive_run_heard(struct service *service, const struct event *event)
{
	(void)event;
	if (service->plane && service_busy(service) == SERVICE_IDLE && service_is_known(service) &&
	    hs_word_flags(plane_word(service->plane)) & HS_FLAG_EXCLUSIVE)
		resume_switchover(service);
}
