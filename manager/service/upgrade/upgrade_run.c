// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/upgrade/upgrade_run.h"

#include <string.h>
#include <syslog.h>

#include "plane/peers.h"
#include "plane/preview/canary.h"
#include "service/change/change.h"
#include "service/change/change_run.h"
#include "service/change/exclusive_run.h"
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

static struct upgrade_run *upgrade_of(const struct run *run)
{
	return container_of(run, struct upgrade_run, run);
}

/* ---- telling ---- */

/* Connections that the old slot still has, as far as that can be known. */
static uint64_t remaining(const struct run *run)
{
	return plane_remaining(run->service->plane, run->from);
}

static json_object *progress(struct run *run)
{
	struct upgrade_run *upgrade = upgrade_of(run);
	struct run *exclusive = run->service->runs[SERVICE_EXCLUSIVE];

	upgrade->told = now_usec();
	/* its steps say more */
	if (exclusive)
		return exclusive->kind->progress(exclusive);
	return report_upgrade_progress(&upgrade->machine, run->service->name, upgrade->told,
				       remaining(run));
}

/* What the next hsd needs to know. */
static void prepare(struct run *run, unsigned actions)
{
	const struct upgrade *machine = &upgrade_of(run)->machine;
	struct plane_upgrade noted = {
		.state = machine->state, .from = run->from, .to = run->to, .uid = run->by.uid};

	if (actions & UPGRADE_DO_TELL)
		plane_set_upgrade(run->service->plane, upgrade_ended(machine) ? NULL : &noted);
}

static enum run_result describe(struct run *run, struct problem *ret_sentence)
{
	const struct upgrade *machine = &upgrade_of(run)->machine;

	upgrade_describe(machine, run->service->name, now_usec(), ret_sentence);
	if (machine->state == UPGRADE_DONE)
		return RUN_DONE;
	return machine->state == UPGRADE_UNDONE ? RUN_UNDONE : RUN_FAILED;
}

static json_object *outcome(struct run *run)
{
	return report_upgrade(&upgrade_of(run)->machine, run->service->name, now_usec());
}

static void ended(struct run *run)
{
	struct upgrade_run *upgrade = upgrade_of(run);
	struct request *recall = steal_ptr(&upgrade->recall);

	upgrade->reset = work_forget(upgrade->reset);
	if (recall && run->result == RUN_UNDONE)
		request_done(recall, report_upgrade_back(&upgrade->machine, run->service->name,
							 now_usec()));
	else
		request_fail(recall, REQUEST_FAILED, "%s", run->sentence.text);
}

static void done(struct run *run)
{
	work_forget(upgrade_of(run)->reset);
	request_free(upgrade_of(run)->recall);
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

bool upgrade_is_unwell(const struct service *service, unsigned slot, bool was_ready,
		       struct problem *ret_why)
{
	enum slot_state states[HS_SLOTS_MAX];
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(service, buffer);

	if (slot >= service->n_slots) {
		problem_set(ret_why, 0, "slot %u is not there any more", slot);
		return true;
	}
	if (service->troubles[slot].problem.text[0]) {
		problem_set(ret_why, 0, "slot %u: %.300s", slot,
			    service->troubles[slot].problem.text);
		return true;
	}
	service_states(service, states);
	if (states[slot] == SLOT_UNADOPTED && was_ready) {
		problem_set(ret_why, 0, "slot %u has ended, or closed its sockets", slot);
		return true;
	}
	if (states[slot] != SLOT_READY) {
		describe_unready(service, slot, states[slot], ret_why);
		return true;
	}
	if (!health || health[slot].state == HEALTH_GOOD)
		return false;
	/* who is asked anew, as settings have changed, is no worse for that */
	if (was_ready && health[slot].state != HEALTH_BAD)
		return false;
	problem_set(ret_why, 0, "slot %u is %s%s%s", slot,
		    health[slot].state == HEALTH_BAD ? "unhealthy" : "not known to be healthy yet",
		    health[slot].reason[0] ? ": " : "", health[slot].reason);
	return true;
}

bool upgrade_run_is_unwell(const struct upgrade_run *upgrade, struct problem *ret_why)
{
	enum upgrade_state state = upgrade->machine.state;

	/* the old slot begins anew as the new one did */
	return upgrade_is_unwell(upgrade->run.service, upgrade_slot(&upgrade->machine),
				 state > UPGRADE_READY && state != UPGRADE_REFRESH, ret_why);
}

static enum unit_state unit_state_of(const struct run *run, unsigned slot)
{
	const struct service *service = run->service;

	return slot < service->n_slots ? instance_facts(service->instances[slot])->state
				       : UNIT_UNKNOWN;
}

/* As failover_heard() would leave it, if nothing else were under way. */
static bool is_ill(const struct service *service, unsigned from, unsigned to)
{
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(service, buffer);

	return service->config.failover == FAILOVER_AUTO && health && from < service->n_slots &&
	       to < service->n_slots && health[from].state == HEALTH_BAD &&
	       health[to].state == HEALTH_GOOD;
}

static unsigned step(struct run *run, enum upgrade_event event, const char *why)
{
	struct upgrade_run *upgrade = upgrade_of(run);
	const struct upgrade *machine = &upgrade->machine;
	struct upgrade_input input = {
		.event = event, .now = now_usec(), .why = why, .untouched = upgrade->untouched};
	struct problem unwell = {0};

	if (event == UPGRADE_BEGIN || machine->draining)
		input.left = plane_remaining(run->service->plane, upgrade_slot(machine));
	if (event == UPGRADE_LOOK) {
		input.taken = hs_word_active(plane_word(run->service->plane)) != run->from;
		input.ill = is_ill(run->service, run->from, run->to);
		input.lost = upgrade_run_is_unwell(upgrade, &unwell);
		input.ready = !input.lost;
		input.why = unwell.text;
		input.starting = unit_state_of(run, upgrade_slot(machine)) == UNIT_STARTING;
	}
	return upgrade_step(&upgrade->machine, &input);
}

static uint64_t wake(const struct run *run, uint64_t now)
{
	return MIN(upgrade_wake(&upgrade_of(run)->machine), now + LOOK_EVERY);
}

static void tell_ill(const struct run *run)
{
	struct journal_scope scope = {run->service->name, (int)run->from, LOG_WARNING};

	journal_log(JOURNAL_UPGRADE, &scope,
		    "%s: slot %u is unhealthy, so all go to the new version in slot %u now",
		    run->service->name, run->from, run->to);
}

static unsigned look(struct run *run)
{
	bool tell = now_usec() >= upgrade_of(run)->told + LOOK_EVERY;
	const struct upgrade *machine = &upgrade_of(run)->machine;
	bool holds = machine->state == UPGRADE_CANARY && now_usec() < machine->deadline;
	unsigned actions;

	/* what its own switchover has come to is heard in a moment, and says more */
	if (run->service->ended)
		return 0;
	actions = step(run, UPGRADE_LOOK, NULL);
	/* before its time is over it is left for nothing else */
	if (holds && actions & UPGRADE_DO_SWITCH)
		tell_ill(run);
	return actions | (tell ? UPGRADE_DO_TELL : 0);
}

/* ---- doing ---- */

static unsigned on_job_ended(struct run *run, const char *failure)
{
	enum unit_state state = unit_state_of(run, run->job_slot);
	struct problem why;

	if (failure)
		return step(run, UPGRADE_JOB_FAILED, failure);
	if (state != UNIT_FAILED && state != UNIT_DOWN)
		return step(run, UPGRADE_JOB_DONE, NULL);
	/* systemd has done what it was told to do, and yet */
	problem_set(&why, 0, "the unit of slot %u has ended as soon as it had started",
		    run->job_slot);
	return step(run, UPGRADE_JOB_FAILED, why.text);
}

static unsigned restart(struct run *run, unsigned slot)
{
	return run_start_job(run, UNIT_RESTART, slot);
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
	struct upgrade_run *upgrade = userdata;
	struct run *run = &upgrade->run;

	upgrade->reset = NULL;
	if (answer->result < 0)
		tell_not_reset(run->service, upgrade->resetting, answer->problem.text);
	run_go_on(run, restart(run, upgrade->resetting));
}

/* Each takes the lock of a connection, which the instance may hold: another process does it. */
static bool begin_reset(struct run *run, unsigned slot)
{
	struct upgrade_run *upgrade = upgrade_of(run);
	struct service *service = run->service;
	struct work_order order = {.kind = WORK_RESET};
	int r = -ENOENT;

	upgrade->resetting = slot;
	if (slot < service->n_slots)
		r = instance_order(service->instances[slot], &order, on_reset, upgrade,
				   &upgrade->reset);
	if (r < 0)
		tell_not_reset(service, slot, strerror(-r));
	return r >= 0;
}

/* What DrainEnd= says of connections that have had their time. */
static unsigned restart_drained(struct run *run)
{
	unsigned slot = upgrade_slot(&upgrade_of(run)->machine);
	bool left = plane_remaining(run->service->plane, slot);

	if (left && run->service->config.drain_end == DRAIN_END_RESET && begin_reset(run, slot))
		return 0;
	return restart(run, slot);
}

static unsigned restart_old(struct run *run)
{
	unsigned slot = upgrade_slot(&upgrade_of(run)->machine);

	if (run->service->config.drain_end == DRAIN_END_KEEP &&
	    plane_remaining(run->service->plane, slot))
		return step(run, UPGRADE_LEFT_ALONE, NULL);
	return restart_drained(run);
}

static unsigned on_smoke_ended(struct run *run, const char *failure)
{
	return step(run, failure ? UPGRADE_SMOKE_FAILED : UPGRADE_SMOKE_DONE, failure);
}

static void end_canary(struct run *run)
{
	if (plane_edit_word(run->service->plane, word_drop_canary, WORD_ARGS(.from = run->to),
			    NULL))
		service_changed(run->service);
}

/* For all clients, whoever the canary before was for. When another is at it right now the next look
 * does it. */
static unsigned set_canary(struct run *run)
{
	struct plane *plane = run->service->plane;
	uint32_t share = upgrade_share(&upgrade_of(run)->machine);
	uint64_t word = plane_word(plane);
	struct problem why;
	int r;

	if (hs_word_canary(word) == run->to && hs_word_share(word) == share)
		return 0;
	r = plane_set_canary(plane, run->to, share, NULL);
	/* it has become the active one */
	if (r == -EAGAIN)
		return 0;
	service_changed(run->service);
	if (!r || r == -EBUSY)
		return 0;
	problem_set(&why, 0, "the canary cannot be set: %s", strerror(-r));
	return step(run, UPGRADE_CANCEL, why.text);
}

static unsigned on_part_ended(struct run *run, struct run *part)
{
	if (part->kind->work == SERVICE_EXCLUSIVE)
		return upgrade_exclusive_ended(upgrade_of(run), exclusive_run_machine(part));
	return step(run, part->result == RUN_DONE ? UPGRADE_SWITCHED : UPGRADE_NOT_SWITCHED,
		    part->sentence.text);
}

/* It was well, and is asked anew: what comes of that is known after a few probes. */
static bool may_wait(const struct upgrade_run *upgrade)
{
	const struct upgrade *machine = &upgrade->machine;

	return now_usec() <
	       machine->entered + health_patience(upgrade->run.service) + machine->plan.ready_usec;
}

static unsigned switch_over(struct run *run)
{
	struct service *service = run->service;
	struct change_order order = {
		.verb = VERB_SWITCHOVER,
		.to = (int)run->to,
		.settle_usec = service->config.settle_usec,
		.drain_usec = service->config.drain_usec,
		.then = THEN_KEEP,
		.of_upgrade = true,
		.by = &run->by,
	};
	struct problem refusal = {0};
	enum gate_answer gate;

	/* the old instance has ended meanwhile, and this one has taken over */
	if (hs_word_active(plane_word(service->plane)) == run->to)
		return step(run, UPGRADE_SWITCHED, NULL);
	if (change_run_start(service, &order, NULL, &gate, &refusal) < 0)
		return step(run, UPGRADE_NOT_SWITCHED, refusal.text);
	upgrade_of(run)->unproven = gate == GATE_UNPROVEN && may_wait(upgrade_of(run));
	if (gate != GATE_OPEN && !upgrade_of(run)->unproven)
		return step(run, UPGRADE_NOT_SWITCHED, refusal.text);
	return 0;
}

static bool old_instance_lives(const struct upgrade_run *upgrade)
{
	const struct service *service = upgrade->run.service;
	unsigned from = upgrade->run.from;

	if (from >= service->n_slots || !plane_slot_sockets(service->plane, from))
		return false;
	return !upgrade->from_run[0] ||
	       !strcmp(upgrade->from_run, instance_facts(service->instances[from])->invocation);
}

/* The old instance, as long as it lives, is where traffic was. */
static bool flip_back(struct upgrade_run *upgrade)
{
	unsigned from = upgrade->run.from;

	if (!old_instance_lives(upgrade))
		return false;
	plane_edit_word(upgrade->run.service->plane, word_activate, WORD_ARGS(.to = from), NULL);
	return true;
}

static unsigned undo(struct run *run)
{
	struct upgrade_run *upgrade = upgrade_of(run);

	run_stop_waiting(run);
	upgrade->reset = work_forget(upgrade->reset);
	run_drop(run->service, SERVICE_CHANGE);
	end_canary(run);
	if (flip_back(upgrade))
		return step(run, UPGRADE_BACK, NULL);
	return step(run, UPGRADE_NOT_BACK,
		    "the old instance has ended meanwhile, so traffic stays where it is");
}

static bool waits_to_switch(const struct upgrade_run *upgrade)
{
	return upgrade->unproven && upgrade->machine.state == UPGRADE_SWITCH;
}

static unsigned carry_out(struct run *run, unsigned actions)
{
	struct upgrade_run *upgrade = upgrade_of(run);
	bool exclusive = upgrade->machine.plan.exclusive;

	if (actions & UPGRADE_DO_RESTART_NEW)
		return restart_drained(run);
	if (actions & UPGRADE_DO_RESTART_OLD)
		return restart_old(run);
	if (actions & UPGRADE_DO_SMOKE)
		return run_start_smoke(run, run->to, upgrade->machine.plan.smoke_usec);
	/* and again where it did not come about */
	if (upgrade->machine.state == UPGRADE_CANARY)
		return set_canary(run);
	if (actions & UPGRADE_DO_SWITCH || waits_to_switch(upgrade))
		return exclusive ? upgrade_exclusive_switch(upgrade) : switch_over(run);
	if (actions & UPGRADE_DO_UNDO)
		return exclusive ? upgrade_exclusive_undo(upgrade) : undo(run);
	return 0;
}

static const struct run_kind kind = {
	.work = SERVICE_UPGRADE,
	.size = sizeof(struct upgrade_run),
	.do_tell = UPGRADE_DO_TELL,
	.do_end = UPGRADE_DO_END,
	.next_goes_on = true,
	.wake = wake,
	.look = look,
	.prepare = prepare,
	.carry_out = carry_out,
	.job_ended = on_job_ended,
	.smoke_ended = on_smoke_ended,
	.part_ended = on_part_ended,
	.progress = progress,
	.describe = describe,
	.outcome = outcome,
	.ended = ended,
	.done = done,
};

bool upgrade_run_cancel(struct service *service, struct request **recall)
{
	const char *why = recall ? "it was rolled back" : "it was cancelled";
	struct run *run = service->runs[SERVICE_UPGRADE];

	if (!upgrade_can_undo(&upgrade_of(run)->machine))
		return false;
	upgrade_of(run)->recall = request_take(recall);
	run_go_on(run, step(run, UPGRADE_CANCEL, why));
	return true;
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
	if (service_busy(service) != SERVICE_IDLE) {
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
	struct upgrade_plan plan = {
		.from = from,
		.to = to,
		.exclusive = service->config.exclusive,
		.others = running_slots(service) & ~(1U << from | 1U << to),
		.smoke = order->smoke[0],
		.drain_usec = service->config.drain_usec,
		.keep = service->config.drain_end == DRAIN_END_KEEP,
		.n_canary = order->n_canary,
		.hold_usec = order->hold_usec,
		.ready_usec = ready_of(service, order),
		.start_usec = order->ready_usec != USEC_INFINITY ? ready_of(service, order) : 0,
		.smoke_usec = order->smoke_usec,
		.probation_usec = order->probation_usec,
	};
	struct run *run;

	if (run_new(&kind, service, &run) < 0)
		return NULL;
	run->journal = JOURNAL_UPGRADE;
	run->verb = "upgrade";
	run->from = from;
	run->to = to;
	run->smoke_may_be_silent = order->smoke_may_be_silent;
	run->smoke_command = strdup(order->smoke);
	if (!run->smoke_command) {
		run_free(run);
		return NULL;
	}
	memcpy(plan.canary, order->canary, sizeof(plan.canary));
	upgrade_init(&upgrade_of(run)->machine, &plan);
	return upgrade_of(run);
}

static void note_old_instance(struct upgrade_run *upgrade)
{
	const struct service *service = upgrade->run.service;
	const struct instance *from = service->instances[upgrade->run.from];

	snprintf(upgrade->from_run, sizeof(upgrade->from_run), "%s",
		 instance_facts(from)->invocation);
}

void upgrade_run_start(struct service *service, const struct upgrade_order *order,
		       struct request *request)
{
	struct problem refusal = {0};
	struct upgrade_run *upgrade;
	unsigned from, to;

	if (gate(service, order, &from, &to, &refusal) != GATE_OPEN) {
		request_fail(request, REQUEST_REFUSED, "%s", refusal.text);
		return;
	}
	upgrade = upgrade_run_new(service, order, from, to);
	if (!upgrade) {
		request_fail_errno(request, -ENOMEM);
		return;
	}
	note_old_instance(upgrade);
	run_begin(&upgrade->run, &request, step(&upgrade->run, UPGRADE_BEGIN, NULL));
}
