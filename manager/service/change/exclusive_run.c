// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/exclusive_run.h"

#include <string.h>
#include <syslog.h>

#include "plane/peers.h"
#include "service/change/parking.h"
#include "service/change/smoke.h"
#include "service/ended.h"
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
	struct service *service;
	struct exclusive machine;
	struct plane_undo undo; /* to take it back */
	uint32_t waited;	/* or QUEUED_UNKNOWN */
	int lock_fd;
	char *smoke_command;
	bool smoke_may_be_silent;
	struct smoke *smoke;
	uint32_t uid;		 /* of who asked for it */
	struct request *request; /* NULL: nobody waits */
	void (*on_end)(const struct exclusive *machine, void *userdata);
	void *userdata;
	sd_event_source *timer;
	struct unit_job *job;
	/* a job has ended so; it counts when the facts of its unit are fresh */
	enum exclusive_event job_event;
	unsigned job_slot;
	struct ended ended;
};

static void carry_out(struct exclusive_run *run, unsigned actions);

struct exclusive_run *exclusive_run_free(struct exclusive_run *run)
{
	if (!run)
		return NULL;
	sd_event_source_disable_unref(run->timer);
	unit_job_free(run->job);
	request_fail(run->request, REQUEST_LEFT,
		     "hsd stops, or manages this service no longer; the next hsd goes on");
	close_fd(run->lock_fd);
	smoke_free(run->smoke);
	free(run->smoke_command);
	free(run);
	return NULL;
}

DEFINE_CLEANUP(struct exclusive_run, exclusive_run_free)

const char *exclusive_run_verb(const struct exclusive_run *run)
{
	return switchover_verb_to_string(run->machine.plan.verb);
}

bool exclusive_run_blocks(const struct service *service, struct problem *ret_refusal)
{
	if (!service->exclusive)
		return false;
	problem_set(ret_refusal, 0,
		    "%s: its %s holds new connections until the new instance is ready, and lets "
		    "them go then; see hsctl status %s",
		    service->name, exclusive_run_verb(service->exclusive), service->name);
	return true;
}

/* ---- the word ---- */

static void hold(struct exclusive_run *run)
{
	struct plane *plane = run->service->plane;

	/* what rollback will need, and the next hsd, should this one die */
	run->undo.cookie = plane_slot_cookie(plane, run->machine.plan.from);
	plane_edit_word(plane, word_hold, NULL, &run->undo);
}

/* The slot that came is the active one, and what waits goes there. */
static void release(struct exclusive_run *run)
{
	const struct exclusive *machine = &run->machine;
	bool done = machine->state == EXCLUSIVE_DONE;
	struct plane *plane = run->service->plane;
	unsigned to = done ? machine->plan.to : machine->plan.from;

	run->waited = parking_waiting(plane);
	if (machine->state == EXCLUSIVE_FAILED)
		to = HS_SLOT_NONE;
	plane_edit_word(plane, word_release, WORD_ARGS(.to = to), NULL);
	if (!done)
		plane_remember(plane, run->undo.previous_word, run->undo.previous_cookie);
	else if (machine->plan.verb == VERB_ROLLBACK)
		plane_remember(plane, 0, 0);
	park_look(run->service->park);
}

/* ---- telling ---- */

void exclusive_run_tell(struct exclusive_run *run)
{
	json_object *object;

	run->machine.waiting = parking_waiting(run->service->plane);
	object = report_exclusive_progress(&run->machine, run->service->name, now_usec());

	service_progress(run->service, object);
}

static void answer(struct exclusive_run *run, const struct problem *sentence)
{
	const struct exclusive *machine = &run->machine;
	struct request *request = steal_ptr(&run->request);

	if (!request)
		return;
	if (machine->state == EXCLUSIVE_DONE)
		request_done(request, report_exclusive(machine, run->service->name, now_usec(),
						       run->waited));
	else
		request_fail(request,
			     machine->state == EXCLUSIVE_UNDONE ? REQUEST_UNDONE : REQUEST_FAILED,
			     "%s", sentence->text);
}

static void log_end(const struct exclusive_run *run, const struct problem *sentence)
{
	const struct exclusive *machine = &run->machine;
	bool done = machine->state == EXCLUSIVE_DONE;
	struct journal_scope scope = {run->service->name, machine->plan.to,
				      done ? LOG_NOTICE : LOG_WARNING};
	struct journal_deed deed = {
		.verb = switchover_verb_to_string(machine->plan.verb),
		.outcome = exclusive_step_name(machine),
		.from = machine->plan.from,
		.to = machine->plan.to,
		.uid = run->uid,
		.duration_usec = now_usec() - machine->begun,
	};

	journal_log_deed(machine->plan.verb == VERB_ROLLBACK ? JOURNAL_ROLLBACK
							     : JOURNAL_SWITCHOVER,
			 &scope, &deed, "%s", sentence->text);
}

static void on_heard(struct ended *ended, bool heard)
{
	struct exclusive_run *run = container_of(ended, struct exclusive_run, ended);

	if (heard && run->on_end)
		run->on_end(&run->machine, run->userdata);
	exclusive_run_free(run);
}

static void end(struct exclusive_run *run)
{
	struct service *service = run->service;
	struct problem sentence = {0};

	exclusive_describe(&run->machine, service->name, now_usec(), run->waited, &sentence);
	log_end(run, &sentence);
	answer(run, &sentence);
	run->timer = sd_event_source_disable_unref(run->timer);
	run->job = unit_job_free(run->job);
	run->smoke = smoke_free(run->smoke);
	run->lock_fd = close_fd(run->lock_fd);
	service->exclusive = NULL;
	ended_add(service, &run->ended, on_heard);
}

/* ---- driving ---- */

static void read_health(const struct exclusive_run *run, struct exclusive_input *input)
{
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(run->service, buffer);
	unsigned to = run->machine.plan.to;

	input->healthy = !health || (to < HS_SLOTS_MAX && health[to].state == HEALTH_GOOD);
	/* the words are the health's own: they stay until the event loop runs on */
	if (!input->healthy && !input->why && to < HS_SLOTS_MAX)
		input->why = health[to].reason;
}

static unsigned step(struct exclusive_run *run, enum exclusive_event event, const char *why)
{
	struct service *service = run->service;
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

static void on_job_ended(const char *result, const struct problem *problem, void *userdata)
{
	struct exclusive_run *run = userdata;
	struct service *service = run->service;

	(void)problem;
	run->job = NULL;
	run->job_event = strcmp(result, "done") ? EXCLUSIVE_JOB_FAILED : EXCLUSIVE_JOB_DONE;
	if (run->job_slot < service->n_slots)
		unit_watch_refresh(service->instances[run->job_slot]->watch);
	else
		exclusive_run_poke(run, run->job_slot);
}

static void start_job(struct exclusive_run *run, enum unit_action action, unsigned slot)
{
	char unit[UNIT_NAME_MAX];

	run->smoke = smoke_free(run->smoke);
	run->job = unit_job_free(run->job);
	run->job_event = EXCLUSIVE_TICK;
	run->job_slot = slot;
	if (name_unit(run->service->name, slot, unit, sizeof(unit)) ||
	    unit_job_new(run->service->host->bus, action, unit, on_job_ended, run, &run->job) < 0)
		on_job_ended("failed", NULL, run);
}

static void on_smoke_ended(const char *failure, void *userdata)
{
	struct exclusive_run *run = userdata;

	run->smoke = NULL;
	carry_out(run, step(run, failure ? EXCLUSIVE_JOB_FAILED : EXCLUSIVE_JOB_DONE, failure));
}

static void start_smoke(struct exclusive_run *run)
{
	uint64_t now = now_usec(), deadline = run->machine.deadline;
	struct smoke_order order = {run->machine.plan.to, run->smoke_command,
				    deadline > now ? deadline - now : 1, run->smoke_may_be_silent};

	if (smoke_start(run->service, &order, on_smoke_ended, run, &run->smoke) < 0)
		on_smoke_ended("the smoke test could not be run", run);
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	exclusive_run_poke(userdata, HS_SLOT_NONE);
	return 0;
}

static void set_timer(struct exclusive_run *run)
{
	sd_event_source_set_time(run->timer, exclusive_wake(&run->machine, now_usec()));
	sd_event_source_set_enabled(run->timer, SD_EVENT_ONESHOT);
}

static void carry_out(struct exclusive_run *run, unsigned actions)
{
	const struct exclusive_plan *plan = &run->machine.plan;

	if (actions & EXCLUSIVE_DO_HOLD)
		hold(run);
	if (actions & EXCLUSIVE_DO_RELEASE)
		release(run);
	if (actions & EXCLUSIVE_DO_TELL)
		exclusive_run_tell(run);
	set_timer(run);
	if (actions & EXCLUSIVE_DO_END)
		end(run);
	else if (actions & EXCLUSIVE_DO_STOP_OLD)
		start_job(run, UNIT_STOP, plan->from);
	else if (actions & EXCLUSIVE_DO_START_NEW)
		start_job(run, UNIT_START, plan->to);
	else if (actions & EXCLUSIVE_DO_STOP_NEW)
		start_job(run, UNIT_STOP, plan->to);
	else if (actions & EXCLUSIVE_DO_START_OLD)
		start_job(run, UNIT_START, plan->from);
	else if (actions & EXCLUSIVE_DO_SMOKE)
		start_smoke(run);
	else if (actions & EXCLUSIVE_DO_HOLD)
		exclusive_run_poke(run, HS_SLOT_NONE);
}

void exclusive_run_poke(struct exclusive_run *run, unsigned slot)
{
	enum exclusive_event event = EXCLUSIVE_TICK;
	unsigned actions;

	if (!run)
		return;
	if (slot == run->job_slot) {
		event = run->job_event;
		run->job_event = EXCLUSIVE_TICK;
	}
	actions = step(run, event, NULL);
	if (actions)
		carry_out(run, actions);
	else
		set_timer(run);
}

void exclusive_run_cancel(struct exclusive_run *run, const char *why)
{
	if (run)
		carry_out(run, step(run, EXCLUSIVE_CANCEL, why));
}

/* ---- beginning ---- */

uint64_t exclusive_ready_default(const struct service *service)
{
	return MAX(service->config.park_timeout_usec / 2, ADOPT_USEC);
}

static int run_new(struct service *service, const struct exclusive_order *order,
		   struct exclusive_run **ret_run)
{
	_cleanup_(exclusive_run_freep) struct exclusive_run *run = calloc(1, sizeof(*run));
	int r;

	if (!run)
		return -ENOMEM;
	run->lock_fd = -1;
	run->service = service;
	run->job_slot = HS_SLOT_NONE;
	run->on_end = order->on_end;
	run->userdata = order->userdata;
	run->uid = order->uid;
	run->smoke_may_be_silent = order->smoke_may_be_silent;
	run->smoke_command = strdup(order->smoke ?: "");
	if (!run->smoke_command)
		return -ENOMEM;
	r = plane_lock(service->plane, &run->lock_fd);
	/* before anything is done: each state has an end */
	if (r >= 0)
		r = sd_event_add_time(service->host->event, &run->timer, CLOCK_MONOTONIC,
				      USEC_INFINITY, USEC_PER_MSEC, on_wake, run);
	if (r < 0)
		return r;
	*ret_run = steal_ptr(&run);
	return 0;
}

static int begin(struct service *service, const struct exclusive_order *order,
		 const struct exclusive_plan *plan, struct request **request)
{
	struct exclusive_run *run;
	int r = run_new(service, order, &run);

	if (r < 0)
		return r;
	run->request = request_take(request);
	if (run->request)
		run->uid = request_uid(run->request);
	service->exclusive = run;
	carry_out(run, exclusive_begin(&run->machine, plan, EXCLUSIVE_HOLD, now_usec()));
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
		.busy = service_is_busy(service, order->on_end),
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
	r = begin(service, order, &plan, request);
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
	return begin(service, order, &plan, NULL);
}

/* Of a switchover by itself; one in an upgrade is the upgrade's. */
static void resume_switchover(struct service *service)
{
	static const struct exclusive_order order = {.verb = VERB_SWITCHOVER,
						     .uid = JOURNAL_UID_NONE};
	struct exclusive_plan plan = plan_of(service, &order, HS_SLOT_NONE, HS_SLOT_NONE);
	enum slot_state states[HS_SLOTS_MAX];
	struct exclusive_run *run;
	enum exclusive_state state;
	uint64_t word, cookie;

	plan.resumed = true;
	plane_previous(service->plane, &word, &cookie);
	plan.from = hs_word_active(cookie ? word : plane_word(service->plane));
	service_states(service, states);
	state = exclusive_resume(states, service->n_slots, plan.from, &plan.to);
	if (run_new(service, &order, &run) < 0)
		return;
	service->exclusive = run;
	carry_out(run, exclusive_begin(&run->machine, &plan, state, now_usec()));
}

static void resume(struct service *service)
{
	if (!service->plane || service_work(service) != SERVICE_IDLE ||
	    !service_is_known(service) ||
	    !(hs_word_flags(plane_word(service->plane)) & HS_FLAG_EXCLUSIVE))
		return;
	resume_switchover(service);
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
	if (event->kind == EVENT_UNIT_CHANGED) {
		exclusive_run_poke(service->exclusive, event->slot);
		resume(service);
	} else if (event->kind != EVENT_VERDICT || event->anew) {
		exclusive_run_poke(service->exclusive, HS_SLOT_NONE);
	}
}
