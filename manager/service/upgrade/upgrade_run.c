// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/upgrade/upgrade_run.h"

#include <string.h>
#include <syslog.h>

#include "plane/peers.h"
#include "plane/preview/canary.h"
#include "service/change/change.h"
#include "service/change/change_run.h"
#include "service/change/exclusive_run.h"
#include "service/change/smoke.h"
#include "service/report/report.h"
#include "service/slot/instance.h"
#include "service/slot/orders.h"
#include "service/slot/states.h"
#include "service/upgrade/upgrade_exclusive.h"
#include "service/watch/health.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* How often it looks although nobody has told of anything: progress, and what was overlooked. */
#define LOOK_EVERY (250 * USEC_PER_MSEC)
/* How long a new instance may take to be ready, where nobody has said. */
#define READY_USEC (90 * USEC_PER_SEC)

DEFINE_CLEANUP(struct upgrade_run, upgrade_run_free)

struct upgrade_run *upgrade_run_free(struct upgrade_run *run)
{
	if (!run)
		return NULL;
	sd_event_source_disable_unref(run->timer);
	unit_job_free(run->job);
	smoke_free(run->smoke);
	work_forget(run->reset);
	request_fail(run->request, REQUEST_LEFT,
		     "hsd stops, or manages this service no longer; the next hsd goes on");
	request_free(run->recall);
	free(run->smoke_command);
	free(run);
	return NULL;
}

/* ---- telling ---- */

/* Connections that the old slot still has, as far as that can be known. */
static uint64_t remaining(const struct upgrade_run *run)
{
	return plane_remaining(run->service->plane, run->machine.plan.from);
}

static void tell_progress(const struct upgrade_run *run)
{
	json_object *object;

	/* its steps say more */
	if (run->service->exclusive) {
		exclusive_run_tell(run->service->exclusive);
		return;
	}
	object = report_upgrade_progress(&run->machine, run->service->name, now_usec(),
					 remaining(run));
	service_progress(run->service, object);
}

/* What the next hsd needs to know. */
static void note(const struct upgrade_run *run)
{
	const struct upgrade *machine = &run->machine;
	struct plane_upgrade noted = {
		.state = machine->state,
		.from = machine->plan.from,
		.to = machine->plan.to,
		.uid = run->uid,
	};

	plane_set_upgrade(run->service->plane, upgrade_ended(machine) ? NULL : &noted);
}

/* To who began it, and to who has it rolled back. */
static void answer(struct upgrade_run *run, const struct problem *sentence)
{
	const struct upgrade *machine = &run->machine;
	const char *name = run->service->name;
	bool undone = machine->state == UPGRADE_UNDONE;
	struct request *request = steal_ptr(&run->request), *recall = steal_ptr(&run->recall);

	if (request && machine->state == UPGRADE_DONE)
		request_done(request, report_upgrade(machine, name, now_usec()));
	else if (request)
		request_fail(request, undone ? REQUEST_UNDONE : REQUEST_FAILED, "%s",
			     sentence->text);
	if (recall && undone)
		request_done(recall, report_upgrade_back(machine, name, now_usec()));
	else if (recall)
		request_fail(recall, REQUEST_FAILED, "%s", sentence->text);
}

/* Of what it waits for. */
static void let_go(struct upgrade_run *run)
{
	run->job = unit_job_free(run->job);
	run->smoke = smoke_free(run->smoke);
	run->reset = work_forget(run->reset);
}

static void on_heard(struct ended *ended, bool heard)
{
	(void)heard;
	upgrade_run_free(container_of(ended, struct upgrade_run, ended));
}

static void end(struct upgrade_run *run)
{
	struct service *service = run->service;
	const struct upgrade *machine = &run->machine;
	struct journal_scope scope = {service->name, (int)machine->plan.to,
				      machine->state == UPGRADE_DONE ? LOG_NOTICE : LOG_WARNING};
	struct journal_deed deed = {
		.verb = "upgrade",
		.outcome = upgrade_state_to_string(machine->state),
		.from = machine->plan.from,
		.to = machine->plan.to,
		.uid = run->uid,
		.duration_usec = now_usec() - machine->begun,
	};
	struct problem sentence = {0};

	upgrade_describe(machine, service->name, now_usec(), &sentence);
	journal_log_deed(JOURNAL_UPGRADE, &scope, &deed, "%s", sentence.text);
	answer(run, &sentence);
	run->timer = sd_event_source_disable_unref(run->timer);
	let_go(run);
	service->upgrade = NULL;
	ended_add(service, &run->ended, on_heard);
}

/* ---- looking ---- */

/* An address that the new version has dropped is named. */
static void describe_unready(const struct service *service, unsigned slot, enum slot_state state,
			     struct problem *ret_why)
{
	struct problem missing = {0};

	if (state == SLOT_INCOMPLETE)
		plane_describe_missing(service->plane, slot,
				       hs_word_active(plane_word(service->plane)), &missing);
	problem_set(ret_why, 0, "slot %u is %s%s%.300s", slot, slot_state_to_string(state),
		    missing.text[0] ? ": " : "", missing.text);
}

bool upgrade_run_is_unwell(const struct upgrade_run *run, struct problem *ret_why)
{
	enum slot_state states[HS_SLOTS_MAX];
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(run->service, buffer);
	unsigned to = upgrade_slot(&run->machine);

	if (to >= run->service->n_slots) {
		problem_set(ret_why, 0, "slot %u is not there any more", to);
		return true;
	}
	if (run->service->troubles[to].problem.text[0]) {
		problem_set(ret_why, 0, "slot %u: %.300s", to,
			    run->service->troubles[to].problem.text);
		return true;
	}
	service_states(run->service, states);
	if (states[to] == SLOT_UNADOPTED && run->machine.state > UPGRADE_READY) {
		problem_set(ret_why, 0, "slot %u has ended, or closed its sockets", to);
		return true;
	}
	if (states[to] != SLOT_READY) {
		describe_unready(run->service, to, states[to], ret_why);
		return true;
	}
	if (!health || health[to].state == HEALTH_GOOD)
		return false;
	problem_set(ret_why, 0, "slot %u is %s%s%s", to,
		    health[to].state == HEALTH_BAD ? "unhealthy" : "not known to be healthy yet",
		    health[to].reason[0] ? ": " : "", health[to].reason);
	return true;
}

static bool is_starting(const struct upgrade_run *run)
{
	const struct service *service = run->service;
	unsigned slot = upgrade_slot(&run->machine);

	return slot < service->n_slots &&
	       instance_facts(service->instances[slot])->state == UNIT_STARTING;
}

unsigned upgrade_run_step(struct upgrade_run *run, enum upgrade_event event, const char *why)
{
	struct upgrade_input input = {
		.event = event, .now = now_usec(), .why = why, .untouched = run->untouched};
	struct problem unwell = {0};

	if (event == UPGRADE_LOOK) {
		input.lost = upgrade_run_is_unwell(run, &unwell);
		input.ready = !input.lost;
		input.why = unwell.text;
		input.starting = is_starting(run);
	}
	return upgrade_step(&run->machine, &input);
}

void upgrade_run_poke(struct upgrade_run *run)
{
	/* what its own switchover has come to is heard in a moment, and says more */
	if (run && !run->service->ended)
		upgrade_run_carry_out(run, upgrade_run_step(run, UPGRADE_LOOK, NULL));
}

bool upgrade_run_cancel(struct upgrade_run *run, struct request **recall)
{
	const char *why = recall ? "it was rolled back" : "it was cancelled";

	if (!upgrade_can_undo(&run->machine))
		return false;
	run->recall = request_take(recall);
	upgrade_run_carry_out(run, upgrade_run_step(run, UPGRADE_CANCEL, why));
	return true;
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct upgrade_run *run = userdata;

	(void)source;
	(void)usec;
	tell_progress(run);
	upgrade_run_carry_out(run, upgrade_run_step(run, UPGRADE_LOOK, NULL));
	return 0;
}

static void set_timer(struct upgrade_run *run)
{
	uint64_t wake = MIN(upgrade_wake(&run->machine), now_usec() + LOOK_EVERY);

	sd_event_source_set_time(run->timer, wake);
	sd_event_source_set_enabled(run->timer, SD_EVENT_ONESHOT);
}

/* ---- doing ---- */

static void on_job(const char *result, const struct problem *problem, void *userdata)
{
	struct upgrade_run *run = userdata;
	struct service *service = run->service;
	bool done = !strcmp(result, "done");
	struct problem why;

	run->job = NULL;
	problem_set(&why, 0, "the unit of slot %u could not be restarted (systemd: %s)%s%s",
		    upgrade_slot(&run->machine), result, problem ? ": " : "",
		    problem ? problem->text : "");
	upgrade_run_carry_out(
		run, upgrade_run_step(run, done ? UPGRADE_JOB_DONE : UPGRADE_JOB_FAILED, why.text));
	/* it may be ready already */
	if (done)
		upgrade_run_poke(service->upgrade);
}

static void restart(struct upgrade_run *run, unsigned slot)
{
	char unit[UNIT_NAME_MAX];

	name_unit(run->service->name, slot, unit, sizeof(unit));
	run->job = unit_job_free(run->job);
	if (unit_job_new(run->service->host->bus, UNIT_RESTART, unit, on_job, run, &run->job) < 0)
		on_job("failed", NULL, run);
}

static void tell_not_reset(const struct service *service, unsigned slot, const char *why)
{
	struct journal_scope scope = {service->name, (int)slot, LOG_WARNING};

	journal_log(JOURNAL_PROBLEM, &scope,
		    "%s: not all connections that were left on slot %u could be reset: %s; they "
		    "end with the instance, which is restarted",
		    service->name, slot, why);
}

static void on_reset(struct work_answer *answer, void *userdata)
{
	struct upgrade_run *run = userdata;
	unsigned slot = run->machine.plan.from;

	run->reset = NULL;
	if (answer->result < 0)
		tell_not_reset(run->service, slot, answer->problem.text);
	restart(run, slot);
}

/* Each takes the lock of a connection, which the instance may hold: another process does it. */
static bool begin_reset(struct upgrade_run *run, unsigned slot)
{
	struct service *service = run->service;
	struct work_order order = {.kind = WORK_RESET};
	int r = -ENOENT;

	if (slot < service->n_slots)
		r = instance_order(service->instances[slot], &order, on_reset, run, &run->reset);
	if (r < 0)
		tell_not_reset(service, slot, strerror(-r));
	return r >= 0;
}

/* What DrainEnd= says of connections that have outlived the drain and the probation. */
static void restart_old(struct upgrade_run *run)
{
	struct service *service = run->service;
	unsigned slot = upgrade_slot(&run->machine);
	enum config_drain_end end = service->config.drain_end;

	if (slot == run->machine.plan.from && end == DRAIN_END_KEEP && remaining(run)) {
		upgrade_run_carry_out(run, upgrade_run_step(run, UPGRADE_LEFT_ALONE, NULL));
		return;
	}
	if (slot == run->machine.plan.from && end == DRAIN_END_RESET && begin_reset(run, slot))
		return;
	restart(run, slot);
}

static void on_smoke(const char *failure, void *userdata)
{
	struct upgrade_run *run = userdata;

	run->smoke = NULL;
	upgrade_run_carry_out(
		run, upgrade_run_step(run, failure ? UPGRADE_SMOKE_FAILED : UPGRADE_SMOKE_DONE,
				      failure));
}

static void smoke(struct upgrade_run *run)
{
	const struct upgrade_plan *plan = &run->machine.plan;
	struct smoke_order order = {plan->to, run->smoke_command, plan->smoke_usec,
				    run->smoke_may_be_silent};

	if (smoke_start(run->service, &order, on_smoke, run, &run->smoke) < 0)
		on_smoke("the smoke test could not be run", run);
}

static void end_canary(struct upgrade_run *run)
{
	if (plane_edit_word(run->service->plane, word_drop_canary,
			    WORD_ARGS(.from = run->machine.plan.to), NULL))
		service_changed(run->service);
}

/* For all clients, whoever the canary before was for. When another is at it right now the next look
 * does it. */
static void set_canary(struct upgrade_run *run)
{
	struct plane *plane = run->service->plane;
	unsigned to = run->machine.plan.to;
	uint32_t share = upgrade_share(&run->machine);
	uint64_t word = plane_word(plane);
	struct problem why;
	int r;

	if (hs_word_canary(word) == to && hs_word_share(word) == share)
		return;
	r = plane_set_canary(plane, to, share, NULL);
	/* it has become the active one */
	if (r == -EAGAIN)
		return;
	service_changed(run->service);
	if (!r || r == -EBUSY)
		return;
	problem_set(&why, 0, "the canary cannot be set: %s", strerror(-r));
	upgrade_run_carry_out(run, upgrade_run_step(run, UPGRADE_CANCEL, why.text));
}

static void on_switched(enum switchover_state state, const char *sentence, void *userdata)
{
	struct upgrade_run *run = userdata;

	upgrade_run_carry_out(run, upgrade_run_step(run,
						    state == SWITCHOVER_DONE ? UPGRADE_SWITCHED
									     : UPGRADE_NOT_SWITCHED,
						    sentence));
}

static void switch_over(struct upgrade_run *run)
{
	struct service *service = run->service;
	struct change_order order = {
		.verb = VERB_SWITCHOVER,
		.to = (int)run->machine.plan.to,
		.settle_usec = service->config.settle_usec,
		.drain_usec = service->config.drain_usec,
		.then = THEN_KEEP,
		.on_end = on_switched,
		.userdata = run,
		.uid = run->uid,
	};
	struct problem refusal = {0};
	enum gate_answer gate;

	/* the old instance has ended meanwhile, and this one has taken over */
	if (hs_word_active(plane_word(service->plane)) == run->machine.plan.to) {
		on_switched(SWITCHOVER_DONE, NULL, run);
		return;
	}
	if (change_run_start(service, &order, NULL, &gate, &refusal) < 0 || gate != GATE_OPEN)
		on_switched(SWITCHOVER_FAILED, refusal.text, run);
}

static bool old_instance_lives(const struct upgrade_run *run)
{
	const struct service *service = run->service;
	unsigned from = run->machine.plan.from;

	if (from >= service->n_slots || !plane_slot_sockets(service->plane, from))
		return false;
	return !run->from_run[0] ||
	       !strcmp(run->from_run, instance_facts(service->instances[from])->invocation);
}

/* The old instance, as long as it lives, is where traffic was. */
static bool flip_back(struct upgrade_run *run)
{
	unsigned from = run->machine.plan.from;

	if (!old_instance_lives(run))
		return false;
	plane_edit_word(run->service->plane, word_activate, WORD_ARGS(.to = from), NULL);
	return true;
}

static void undo(struct upgrade_run *run)
{
	let_go(run);
	run->service->change = change_run_free(run->service->change);
	end_canary(run);
	if (flip_back(run))
		upgrade_run_carry_out(run, upgrade_run_step(run, UPGRADE_BACK, NULL));
	else
		upgrade_run_carry_out(
			run, upgrade_run_step(run, UPGRADE_NOT_BACK,
					      "the old instance has ended meanwhile, so traffic "
					      "stays where it is"));
}

void upgrade_run_carry_out(struct upgrade_run *run, unsigned actions)
{
	const struct upgrade_plan *plan = &run->machine.plan;

	if (actions & UPGRADE_DO_TELL) {
		note(run);
		tell_progress(run);
	}
	if (actions & UPGRADE_DO_END) {
		end(run);
		return;
	}
	set_timer(run);
	if (actions & UPGRADE_DO_RESTART_NEW)
		restart(run, plan->to);
	else if (actions & UPGRADE_DO_RESTART_OLD)
		restart_old(run);
	else if (actions & UPGRADE_DO_SMOKE)
		smoke(run);
	/* and again where it did not come about */
	else if (run->machine.state == UPGRADE_CANARY)
		set_canary(run);
	else if (actions & UPGRADE_DO_SWITCH && plan->exclusive)
		upgrade_exclusive_switch(run);
	else if (actions & UPGRADE_DO_SWITCH)
		switch_over(run);
	else if (actions & UPGRADE_DO_UNDO && plan->exclusive)
		upgrade_exclusive_undo(run);
	else if (actions & UPGRADE_DO_UNDO)
		undo(run);
}

/* ---- beginning ---- */

/* The other slot need not be ready: it is started anew. Which one it is, is clear with two. */
static enum gate_answer gate(const struct service *service, const struct upgrade_order *order,
			     unsigned *ret_from, unsigned *ret_to, struct problem *ret_refusal)
{
	enum slot_state states[HS_SLOTS_MAX];
	unsigned active = hs_word_active(plane_word(service->plane));
	enum gate_answer answer = GATE_OPEN;

	if (service->config.exclusive)
		return upgrade_exclusive_gate(service, order, ret_from, ret_to, ret_refusal);
	if (order->n_canary && change_refuses_paths(service->plane, "canary", ret_refusal))
		return GATE_NOT_READY;
	service_states(service, states);
	*ret_from = active;
	*ret_to = slot_pick_standby(states, service->n_slots, active);
	for (unsigned i = 0; *ret_to >= HS_SLOTS_MAX && i < service->n_slots; i++)
		if (i != active)
			*ret_to = i;
	if (service_is_busy(service, false)) {
		answer = GATE_BUSY;
		gate_describe(answer, service->name, *ret_to, SLOT_DOWN, ret_refusal);
	} else if (active >= service->n_slots || states[active] != SLOT_READY) {
		answer = GATE_NOT_READY;
		problem_set(
			ret_refusal, 0,
			"%s: no slot serves, so there is nothing to upgrade without loss; start "
			"one: systemctl start %s@0",
			service->name, service->name);
	}
	return answer;
}

static uint32_t running_slots(const struct service *service)
{
	uint32_t slots = 0;

	for (unsigned i = 0; i < service->n_slots; i++)
		if (instance_is_up(instance_facts(service->instances[i])->state))
			slots |= 1U << i;
	return slots;
}

static uint64_t ready_of(const struct service *service, const struct upgrade_order *order)
{
	if (order->ready_usec != USEC_INFINITY)
		return MAX(order->ready_usec, 1U);
	return service->config.exclusive ? exclusive_ready_default(service) : READY_USEC;
}

struct upgrade_run *upgrade_run_new(struct service *service, const struct upgrade_order *order,
				    unsigned from, unsigned to)
{
	_cleanup_(upgrade_run_freep) struct upgrade_run *run = calloc(1, sizeof(*run));
	struct upgrade_plan plan = {
		.from = from,
		.to = to,
		.smoke = order->smoke[0],
		.n_canary = order->n_canary,
		.hold_usec = order->hold_usec,
		.exclusive = service->config.exclusive,
		.ready_usec = ready_of(service, order),
		.start_usec = order->ready_usec != USEC_INFINITY ? ready_of(service, order) : 0,
		.smoke_usec = order->smoke_usec,
		.probation_usec = order->probation_usec,
	};

	if (!run)
		return NULL;
	memcpy(plan.canary, order->canary, sizeof(plan.canary));
	plan.others = running_slots(service) & ~(1U << from | 1U << to);
	run->service = service;
	run->uid = JOURNAL_UID_NONE;
	run->carry_out = upgrade_run_carry_out;
	run->smoke_may_be_silent = order->smoke_may_be_silent;
	run->smoke_command = strdup(order->smoke);
	/* before anything is done: each state has an end */
	if (!run->smoke_command ||
	    sd_event_add_time(service->host->event, &run->timer, CLOCK_MONOTONIC, USEC_INFINITY,
			      USEC_PER_MSEC, on_wake, run) < 0)
		return NULL;
	upgrade_init(&run->machine, &plan);
	return steal_ptr(&run);
}

static void note_old_instance(struct upgrade_run *run)
{
	const struct instance *from = run->service->instances[run->machine.plan.from];

	snprintf(run->from_run, sizeof(run->from_run), "%s", instance_facts(from)->invocation);
}

void upgrade_run_start(struct service *service, const struct upgrade_order *order,
		       struct request *request)
{
	struct problem refusal = {0};
	struct upgrade_run *run;
	unsigned from, to;

	if (gate(service, order, &from, &to, &refusal) != GATE_OPEN) {
		request_fail(request, REQUEST_REFUSED, "%s", refusal.text);
		return;
	}
	run = upgrade_run_new(service, order, from, to);
	if (!run) {
		request_fail_errno(request, -ENOMEM);
		return;
	}
	run->request = request;
	run->uid = request_uid(request);
	note_old_instance(run);
	service->upgrade = run;
	upgrade_run_carry_out(run, upgrade_run_step(run, UPGRADE_BEGIN, NULL));
}

void upgrade_run_heard(struct service *service, const struct event *event)
{
	if (event->kind != EVENT_VERDICT || event->anew)
		upgrade_run_poke(service->upgrade);
}
