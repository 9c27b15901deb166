// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/change_run.h"

#include "plane/act/retire.h"
#include "service/report/report.h"
#include "service/slot/front_facts.h"
#include "service/slot/instance.h"
#include "service/slot/orders.h"
#include "service/slot/roles.h"
#include "service/slot/states.h"
#include "service/watch/health.h"
#include "util/clock.h"
#include "util/macro.h"

struct change_run {
	struct run run;
	struct service_change change;
	struct switchover_result result;
};

static struct change_run *change_of(const struct run *run)
{
	return container_of(run, struct change_run, run);
}

static const struct switchover *machine_of(const struct run *run)
{
	return &change_of(run)->change.machine;
}

static uint64_t wake(const struct run *run, uint64_t now)
{
	return switchover_wake(machine_of(run), now);
}

static unsigned look(struct run *run)
{
	return change_tick(&change_of(run)->change, now_usec());
}

static json_object *progress(struct run *run)
{
	return report_progress(machine_of(run), run->service->name, now_usec());
}

static enum run_result describe(struct run *run, struct problem *ret_sentence)
{
	struct change_run *change = change_of(run);
	const struct switchover *machine = machine_of(run);

	change_result(&change->change, now_usec(), &change->result);
	switchover_describe(machine, run->service->name, &change->result, ret_sentence);
	if (machine->state == SWITCHOVER_DONE)
		return RUN_DONE;
	return machine->state == SWITCHOVER_UNDONE ? RUN_UNDONE : RUN_FAILED;
}

static json_object *outcome(struct run *run)
{
	return report_change(machine_of(run), run->service->name, &change_of(run)->result);
}

static unsigned on_old_ended(struct run *run, const char *failure)
{
	struct switchover_input input = {
		.event = failure ? SWITCHOVER_OLD_FAILED : SWITCHOVER_OLD_DONE,
		.now = now_usec(),
	};

	return switchover_step(&change_of(run)->change.machine, &input);
}

static unsigned end_old(struct run *run, enum unit_action action)
{
	/* while it lives */
	roles_hurry(run->service->roles);
	return run_start_job(run, action, run->from);
}

static void on_moved(struct work_answer *answer, void *userdata)
{
	struct instance *instance = userdata;

	instance->move_work = NULL;
	instance_moved(instance, answer);
	service_post(instance->service, EVENT_EMPTIED, instance->slot, false);
}

/* This change does not wait for it: what is still queued when the old one ends moves then. The next
 * one does, see change_hold.c. */
static void move_queue(const struct run *run)
{
	struct work_order order = {
		.kind = WORK_BOUNCE,
		.keep_in_map = !plane_is_retired(run->service->plane, run->from),
	};
	struct instance *instance;

	if (run->from >= run->service->n_slots || service_is_front(run->service))
		return;
	instance = run->service->instances[run->from];
	if (!instance->move_work)
		instance_order(instance, &order, on_moved, instance, &instance->move_work);
}

static void prepare(struct run *run, unsigned actions)
{
	struct service *service = run->service;

	if (actions & SWITCHOVER_DO_BOUNCE)
		move_queue(run);
	service->settles = machine_of(run)->state <= SWITCHOVER_SETTLE;
	if (!service->settles)
		roles_settled(service->roles);
}

static unsigned carry_out(struct run *run, unsigned actions)
{
	if (actions & SWITCHOVER_DO_FLIP)
		return change_flip(&change_of(run)->change, now_usec());
	if (actions & SWITCHOVER_DO_STOP)
		return end_old(run, UNIT_STOP);
	if (actions & SWITCHOVER_DO_RESTART)
		return end_old(run, UNIT_RESTART);
	return 0;
}

static const struct run_kind kind = {
	.work = SERVICE_CHANGE,
	.size = sizeof(struct change_run),
	.do_tell = SWITCHOVER_DO_TELL,
	.do_end = SWITCHOVER_DO_END,
	.wake = wake,
	.look = look,
	.prepare = prepare,
	.carry_out = carry_out,
	.job_ended = on_old_ended,
	.progress = progress,
	.describe = describe,
	.outcome = outcome,
};

void change_run_on_unhealthy(struct service *service, unsigned slot, const char *reason)
{
	struct run *run = service->runs[SERVICE_CHANGE];

	if (run && run->to == slot)
		run_go_on(run, change_give_up(&change_of(run)->change, now_usec(), reason));
}

static int begin(struct service *service, const struct change_order *order,
		 const struct switchover_plan *plan, struct request **request, int *lock)
{
	static const enum journal_kind kinds[VERB_COUNT] = {
		[VERB_SWITCHOVER] = JOURNAL_SWITCHOVER,
		[VERB_ROLLBACK] = JOURNAL_ROLLBACK,
		[VERB_FAILOVER] = JOURNAL_FAILOVER,
	};
	struct service_change *change;
	struct run *run;
	int r = run_new(&kind, service, &run);

	if (r < 0)
		return r;
	run->journal = kinds[plan->verb];
	run->verb = switchover_verb_to_string(plan->verb);
	run->from = plan->from;
	run->to = plan->to;
	run->by = order->by ? *order->by : JOURNAL_NOBODY;
	run->of_upgrade = order->of_upgrade;
	run->lock_fd = steal_fd(lock);
	change = &change_of(run)->change;
	change_init(change, service->plane, plan);
	run_begin(run, request, change_begin(change, now_usec()));
	return 0;
}

int change_run_start(struct service *service, const struct change_order *order,
		     struct request **request, enum gate_answer *ret_answer,
		     struct problem *ret_refusal)
{
	enum slot_state states[HS_SLOTS_MAX];
	struct slot_health health[HS_SLOTS_MAX];
	_cleanup_(close_fdp) int lock = -1;
	struct change_request asked = {
		.verb = order->verb,
		.states = states,
		.health = service_health(service, health),
		.n = service->n_slots,
		.to = order->to,
		.busy = run_is_barred(service, order->of_upgrade, request) ||
			plane_lock(service->plane, &lock) < 0,
	};
	struct switchover_plan plan;

	service_states(service, states);
	*ret_answer = change_gate(service->plane, &asked, &plan, ret_refusal);
	if (*ret_answer == GATE_OPEN && plan.verb == VERB_SWITCHOVER &&
	    health_was_bad(service, plan.to, ret_refusal))
		*ret_answer = GATE_UNHEALTHY;
	if (*ret_answer != GATE_OPEN)
		return 0;
	plan.settle_usec = order->settle_usec;
	plan.drain_usec = order->drain_usec;
	plan.then = order->then;
	return begin(service, order, &plan, request, &lock);
}
