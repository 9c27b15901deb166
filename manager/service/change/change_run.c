// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/change_run.h"

#include <string.h>

#include "plane/act/retire.h"
#include "service/ended.h"
#include "service/report/report.h"
#include "service/slot/instance.h"
#include "service/slot/orders.h"
#include "service/slot/roles.h"
#include "service/slot/states.h"
#include "service/watch/health.h"
#include "util/clock.h"
#include "util/macro.h"

struct change_run {
	struct service *service;
	struct service_change change;
	int lock_fd;
	struct request *request; /* or `on_end` */
	void (*on_end)(enum switchover_state state, const char *sentence, void *userdata);
	void *userdata;
	sd_event_source *timer;
	struct unit_job *job;
	struct problem sentence; /* once it has ended */
	struct ended ended;
};

DEFINE_CLEANUP(struct change_run, change_run_free)

static void carry_out(struct change_run *run, unsigned actions);

struct change_run *change_run_free(struct change_run *run)
{
	if (!run)
		return NULL;
	/* not one that has ended: another may run by now */
	if (run->service->change == run)
		run->service->settles = false;
	sd_event_source_disable_unref(run->timer);
	unit_job_free(run->job);
	request_free(run->request);
	close_fd(run->lock_fd);
	free(run);
	return NULL;
}

unsigned change_run_from(const struct change_run *run)
{
	return run->change.machine.plan.from;
}

const char *change_run_verb(const struct change_run *run)
{
	return switchover_verb_to_string(run->change.machine.plan.verb);
}

static bool settles(const struct change_run *run)
{
	return run->change.machine.state <= SWITCHOVER_SETTLE;
}

static void tell_progress(struct change_run *run)
{
	json_object *object = report_progress(&run->change.machine, run->service->name, now_usec());

	service_progress(run->service, object);
}

static void answer(struct change_run *run, const struct problem *sentence,
		   const struct switchover_result *result)
{
	const struct switchover *machine = &run->change.machine;
	struct request *request = steal_ptr(&run->request);

	if (!request)
		return;
	if (machine->state == SWITCHOVER_DONE)
		request_done(request, report_change(machine, run->service->name, result));
	else
		request_fail(request,
			     machine->state == SWITCHOVER_UNDONE ? REQUEST_UNDONE : REQUEST_FAILED,
			     "%s", sentence->text);
}

static void on_heard(struct ended *ended, bool heard)
{
	struct change_run *run = container_of(ended, struct change_run, ended);

	if (heard && run->on_end)
		run->on_end(run->change.machine.state, run->sentence.text, run->userdata);
	change_run_free(run);
}

static void end(struct change_run *run)
{
	struct service *service = run->service;
	struct switchover_result result;

	change_result(&run->change, now_usec(), &result);
	change_log(&run->change, &result);
	switchover_describe(&run->change.machine, service->name, &result, &run->sentence);
	answer(run, &run->sentence, &result);
	run->timer = sd_event_source_disable_unref(run->timer);
	run->job = unit_job_free(run->job);
	run->lock_fd = close_fd(run->lock_fd);
	service->change = NULL;
	ended_add(service, &run->ended, on_heard);
}

static void on_old_done(const char *result, const struct problem *problem, void *userdata)
{
	struct change_run *run = userdata;
	struct switchover_input input = {
		.event = strcmp(result, "done") ? SWITCHOVER_OLD_FAILED : SWITCHOVER_OLD_DONE,
		.now = now_usec(),
	};

	(void)problem;
	run->job = NULL;
	carry_out(run, switchover_step(&run->change.machine, &input));
}

static void start_job(struct change_run *run, enum unit_action action)
{
	char unit[UNIT_NAME_MAX];

	/* while it lives */
	roles_hurry(run->service->roles);
	/* by name: with fewer Slots= than before there is no instance for it any more */
	if (name_unit(run->service->name, run->change.machine.plan.from, unit, sizeof(unit)) ||
	    unit_job_new(run->service->host->bus, action, unit, on_old_done, run, &run->job) < 0)
		on_old_done("failed", NULL, run);
}

static void move_queue(struct change_run *run)
{
	unsigned from = run->change.machine.plan.from;
	struct work_order order = {
		.kind = WORK_BOUNCE,
		.keep_in_map = !plane_is_retired(run->service->plane, from),
	};

	/* nobody waits for it: what is still queued when the old one ends moves then */
	if (from < run->service->n_slots)
		instance_order(run->service->instances[from], &order, NULL, NULL, NULL);
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct change_run *run = userdata;

	(void)source;
	(void)usec;
	carry_out(run, change_tick(&run->change, now_usec()));
	return 0;
}

static void set_timer(struct change_run *run)
{
	sd_event_source_set_time(run->timer, switchover_wake(&run->change.machine, now_usec()));
	sd_event_source_set_enabled(run->timer, SD_EVENT_ONESHOT);
}

/* Does what the state machine asks for. */
static void carry_out(struct change_run *run, unsigned actions)
{
	if (actions & SWITCHOVER_DO_TELL)
		tell_progress(run);
	if (actions & SWITCHOVER_DO_BOUNCE)
		move_queue(run);
	run->service->settles = settles(run);
	if (!run->service->settles)
		roles_settled(run->service->roles);
	if (actions & SWITCHOVER_DO_FLIP)
		carry_out(run, change_flip(&run->change, now_usec()));
	else if (actions & SWITCHOVER_DO_STOP)
		start_job(run, UNIT_STOP);
	else if (actions & SWITCHOVER_DO_RESTART)
		start_job(run, UNIT_RESTART);
	else if (actions & SWITCHOVER_DO_END)
		end(run);
	else
		set_timer(run);
}

void change_run_poke(struct change_run *run)
{
	if (run)
		carry_out(run, change_tick(&run->change, now_usec()));
}

void change_run_on_unhealthy(struct change_run *run, unsigned slot, const char *reason)
{
	unsigned actions;

	if (!run || run->change.machine.plan.to != slot)
		return;
	actions = change_give_up(&run->change, now_usec(), reason);
	if (actions)
		carry_out(run, actions);
}

static int run_new(struct service *service, struct change_run **ret_run)
{
	_cleanup_(change_run_freep) struct change_run *run = calloc(1, sizeof(*run));
	int r;

	if (!run)
		return -ENOMEM;
	run->service = service;
	run->lock_fd = -1;
	/* before anything is done: each state has an end */
	r = sd_event_add_time(service->host->event, &run->timer, CLOCK_MONOTONIC, USEC_INFINITY,
			      USEC_PER_MSEC, on_wake, run);
	if (r < 0)
		return r;
	*ret_run = steal_ptr(&run);
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
		.busy = service_is_busy(service, order->on_end) ||
			plane_lock(service->plane, &lock) < 0,
	};
	struct switchover_plan plan;
	struct change_run *run;
	int r;

	service_states(service, states);
	*ret_answer = change_gate(service->plane, &asked, &plan, ret_refusal);
	if (*ret_answer != GATE_OPEN)
		return 0;
	r = run_new(service, &run);
	if (r < 0)
		return r;
	plan.settle_usec = order->settle_usec;
	plan.drain_usec = order->drain_usec;
	plan.then = order->then;
	run->lock_fd = steal_fd(&lock);
	run->request = request_take(request);
	run->on_end = order->on_end;
	run->userdata = order->userdata;
	change_init(&run->change, service->plane, &plan);
	run->change.uid = run->request ? request_uid(run->request) : order->uid;
	service->change = run;
	carry_out(run, change_begin(&run->change, now_usec()));
	return 0;
}

void change_run_heard(struct service *service, const struct event *event)
{
	(void)event;
	change_run_poke(service->change);
}
