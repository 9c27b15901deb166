// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/upgrade/rolling_run.h"

#include <string.h>
#include <syslog.h>

#include "core/change/rolling.h"
#include "plane/peers.h"
#include "service/change/spread.h"
#include "service/report/report.h"
#include "service/slot/instance.h"
#include "service/slot/retirement.h"
#include "service/slot/states.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* How often it looks although nobody has told of anything: progress, and what was overlooked. */
#define LOOK_EVERY (250 * USEC_PER_MSEC)
#define READY_USEC (90 * USEC_PER_SEC)

/* In plane_upgrade.state, beside enum rolling_state: it is one of these; and it had a test. */
#define NOTED_ROLLING 0x40
#define NOTED_SMOKE   0x20

struct rolling_run {
	struct run run;
	struct rolling machine;
	struct request *recall; /* of who has it rolled back; NULL: nobody */
	uint64_t told;
};

static struct rolling_run *rolling_of(const struct run *run)
{
	return container_of(run, struct rolling_run, run);
}

static unsigned slot_of(const struct run *run)
{
	return rolling_slot(&rolling_of(run)->machine);
}

/* ---- telling ---- */

static uint64_t left(const struct run *run)
{
	return plane_remaining(run->service->plane, slot_of(run));
}

static json_object *progress(struct run *run)
{
	struct rolling_run *rolling = rolling_of(run);

	rolling->told = now_usec();
	return report_rolling_progress(&rolling->machine, run->service->name, rolling->told,
				       left(run));
}

static enum run_result describe(struct run *run, struct problem *ret_sentence)
{
	const struct rolling *machine = &rolling_of(run)->machine;

	run->from = machine->slot;
	rolling_describe(machine, run->service->name, now_usec(), ret_sentence);
	if (machine->state == ROLLING_DONE)
		return RUN_DONE;
	return machine->state == ROLLING_UNDONE ? RUN_UNDONE : RUN_FAILED;
}

static json_object *outcome(struct run *run)
{
	return report_rolling(&rolling_of(run)->machine, run->service->name, now_usec());
}

static void ended(struct run *run)
{
	struct rolling_run *rolling = rolling_of(run);
	struct request *recall = steal_ptr(&rolling->recall);

	if (recall && run->result == RUN_UNDONE)
		request_done(recall,
			     report_rolling(&rolling->machine, run->service->name, now_usec()));
	else
		request_fail(recall, REQUEST_FAILED, "%s", run->sentence.text);
}

static void done(struct run *run)
{
	request_free(rolling_of(run)->recall);
}

/* ---- looking ---- */

static unsigned step(struct run *run, enum rolling_event event, const char *why)
{
	struct rolling *machine = &rolling_of(run)->machine;
	struct rolling_input input = {.event = event, .now = now_usec(), .why = why};
	struct problem unwell = {0};

	if (event == ROLLING_LOOK || event == ROLLING_CANCEL) {
		input.lost = upgrade_is_unwell(run->service, machine->slot,
					       machine->state > ROLLING_READY, &unwell);
		input.ready = !input.lost;
		input.left = left(run);
	}
	if (event == ROLLING_LOOK)
		input.why = unwell.text;
	return rolling_step(machine, &input);
}

static uint64_t wake(const struct run *run, uint64_t now)
{
	return MIN(rolling_wake(&rolling_of(run)->machine), now + LOOK_EVERY);
}

static unsigned look(struct run *run)
{
	bool tell = now_usec() >= rolling_of(run)->told + LOOK_EVERY;

	return step(run, ROLLING_LOOK, NULL) | (tell ? ROLLING_DO_TELL : 0);
}

/* ---- doing ---- */

static unsigned on_job_ended(struct run *run, const char *failure)
{
	return step(run, failure ? ROLLING_JOB_FAILED : ROLLING_JOB_DONE, failure);
}

static unsigned on_smoke_ended(struct run *run, const char *failure)
{
	return step(run, failure ? ROLLING_SMOKE_FAILED : ROLLING_SMOKE_DONE, failure);
}

static unsigned hold(struct run *run)
{
	struct problem why = {0};

	if (spread_hold(run->service, slot_of(run), true, &why) < 0)
		return step(run, ROLLING_NOT_LEFT, why.text);
	return 0;
}

/* As one that was drained: `hsctl adopt`, or another run, takes it back. */
static void put_out(struct run *run)
{
	struct service *service = run->service;
	unsigned slot = slot_of(run);

	if (slot < service->n_slots && plane_slot_sockets(service->plane, slot)) {
		plane_set_drained(service->plane, slot, true);
		instance_retire(service->instances[slot], NULL);
	}
	(void)spread_hold(service, slot, false, NULL);
}

/* What the next hsd needs to know. The second slot of the note means nothing here. */
static void note(struct run *run)
{
	const struct rolling *machine = &rolling_of(run)->machine;
	struct plane_upgrade noted = {
		.state = NOTED_ROLLING | (machine->plan.smoke ? NOTED_SMOKE : 0) | machine->state,
		.from = machine->slot,
		.to = (machine->slot + 1) % HS_SLOTS_MAX,
		.uid = run->by.uid,
	};

	plane_set_upgrade(run->service->plane, rolling_ended(machine) ? NULL : &noted);
}

/* What has to be so before anybody hears of it, also of the end. */
static void prepare(struct run *run, unsigned actions)
{
	run->to = slot_of(run);
	if (actions & ROLLING_DO_END)
		run_stop_waiting(run);
	if (actions & ROLLING_DO_PUT_OUT)
		put_out(run);
	if (actions & ROLLING_DO_RELEASE)
		(void)spread_hold(run->service, slot_of(run), false, NULL);
	if (actions & ROLLING_DO_TELL)
		note(run);
}

static unsigned carry_out(struct run *run, unsigned actions)
{
	if (actions & ROLLING_DO_HOLD)
		return hold(run);
	if (actions & ROLLING_DO_RESTART)
		return run_start_job(run, UNIT_RESTART, slot_of(run));
	if (actions & ROLLING_DO_SMOKE)
		return run_start_smoke(run, slot_of(run), rolling_of(run)->machine.plan.smoke_usec);
	return 0;
}

static const struct run_kind kind = {
	.work = SERVICE_UPGRADE,
	.size = sizeof(struct rolling_run),
	.do_tell = ROLLING_DO_TELL,
	.do_end = ROLLING_DO_END,
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
	.ended = ended,
	.done = done,
};

bool rolling_run_is(const struct run *run)
{
	return run->kind == &kind;
}

void rolling_run_cancel(struct service *service, struct request **recall)
{
	struct run *run = service->runs[SERVICE_UPGRADE];

	rolling_of(run)->recall = request_take(recall);
	run_go_on(run, step(run, ROLLING_CANCEL,
			    rolling_of(run)->recall ? "it was rolled back" : "it was cancelled"));
}

/* ---- beginning ---- */

static uint32_t running_slots(const struct service *service)
{
	uint32_t slots = 0;

	for (unsigned i = 0; i < service->n_slots; i++)
		if (instance_is_up(instance_facts(service->instances[i])->state))
			slots |= 1U << i;
	return slots;
}

/* Each slot's clients have to be somewhere while it is restarted. */
static bool gate(const struct service *service, const struct upgrade_order *order,
		 struct problem *ret_refusal)
{
	enum slot_state states[HS_SLOTS_MAX];

	service_states(service, states);
	if (service_busy(service) != SERVICE_IDLE)
		gate_describe(GATE_BUSY, service->name, HS_SLOT_NONE, SLOT_DOWN, ret_refusal);
	else if (order->n_canary)
		problem_set(ret_refusal, 0,
			    "%s: canary steps are shares of what the active slot gets, and under "
			    "policy hash all slots are at work: each is upgraded by itself, with "
			    "its own clients; leave --canary out",
			    service->name);
	else if (hs_popcount(slots_ready(states, service->n_slots)) < 2)
		problem_set(ret_refusal, 0,
			    "%s: fewer than two slots are ready, so nobody could serve the "
			    "clients of the one that is upgraded; start one: systemctl start %s@N",
			    service->name, service->name);
	return !ret_refusal->text[0];
}

static struct run *make(struct service *service, const struct upgrade_order *order)
{
	uint32_t slots = running_slots(service);
	struct rolling_plan plan = {
		.slots = slots ?: 1,
		.smoke = order->smoke[0],
		.settle_usec = service->config.settle_usec,
		.drain_usec = service->config.drain_usec,
		.ready_usec = order->ready_usec != USEC_INFINITY ? MAX(order->ready_usec, 1U)
								 : READY_USEC,
		.smoke_usec = order->smoke_usec,
		.probation_usec = order->probation_usec / MAX(hs_popcount(slots), 1U),
	};
	struct run *run;

	if (run_new(&kind, service, &run) < 0)
		return NULL;
	run->journal = JOURNAL_UPGRADE;
	run->verb = "upgrade";
	run->from = run->to = HS_SLOT_NONE;
	run->smoke_may_be_silent = order->smoke_may_be_silent;
	run->smoke_command = strdup(order->smoke);
	if (!run->smoke_command)
		return run_free(run);
	rolling_init(&rolling_of(run)->machine, &plan);
	return run;
}

void rolling_run_start(struct service *service, const struct upgrade_order *order,
		       struct request *request)
{
	struct problem refusal = {0};
	struct run *run;

	if (!gate(service, order, &refusal)) {
		request_fail(request, REQUEST_REFUSED, "%s", refusal.text);
		return;
	}
	run = make(service, order);
	if (!run) {
		request_fail_errno(request, -ENOMEM);
		return;
	}
	request_actor(request, &run->by);
	run_begin(run, &request, step(run, ROLLING_BEGIN, NULL));
}

/* ---- one that the hsd before has left in the middle ---- */

bool rolling_run_is_noted(const struct plane_upgrade *noted)
{
	return noted->state & NOTED_ROLLING;
}

int rolling_run_resume(struct service *service, const struct plane_upgrade *noted)
{
	static const struct upgrade_order nothing = {.smoke = "", .ready_usec = READY_USEC};
	struct journal_scope scope = {service->name, (int)noted->from, LOG_WARNING};
	enum rolling_state state = noted->state & (NOTED_SMOKE - 1);
	struct run *run = make(service, &nothing);
	struct problem unwell;
	struct rolling *machine;
	bool ready;
	unsigned actions;

	if (!run)
		return -ENOMEM;
	machine = &rolling_of(run)->machine;
	machine->plan.smoke = noted->state & NOTED_SMOKE;
	run->by.uid = noted->uid;
	ready = !upgrade_is_unwell(service, noted->from, false, &unwell);
	actions = rolling_resume(machine, noted->from, state, ready, now_usec());
	journal_log(JOURNAL_UPGRADE, &scope,
		    "%s: hsd was gone in the middle of an upgrade, at slot %u in its step \"%s\"; "
		    "it %s",
		    service->name, noted->from, rolling_state_to_string(state),
		    rolling_ended(machine) ? "ends here" : "goes on");
	run_begin(run, NULL, actions);
	return 0;
}
