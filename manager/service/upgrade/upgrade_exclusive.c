// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/upgrade/upgrade_exclusive.h"

#include "service/change/exclusive_run.h"
#include "util/clock.h"

enum gate_answer upgrade_exclusive_gate(const struct service *service,
					const struct upgrade_order *order, unsigned *ret_from,
					unsigned *ret_to, struct problem *ret_refusal)
{
	static const struct exclusive_order any = {.verb = VERB_SWITCHOVER, .to = GATE_STANDBY};

	if (order->n_canary) {
		problem_set(ret_refusal, 0,
			    "%s: only one slot may run (Exclusive=yes), so the new version cannot "
			    "have a share while the old one serves; leave --canary= out, --smoke= "
			    "tests it before clients get there",
			    service->name);
		return GATE_NOT_READY;
	}
	return exclusive_run_may(service, &any, ret_from, ret_to, ret_refusal);
}

static void proceed(struct upgrade_run *run, enum upgrade_event event, const char *why)
{
	struct upgrade_input input = {
		.event = event, .now = now_usec(), .why = why, .untouched = run->untouched};

	run->carry_out(run, upgrade_step(&run->machine, &input));
}

/* ---- there ---- */

static void on_switched(const struct exclusive *machine, void *userdata)
{
	struct upgrade_run *run = userdata;
	struct upgrade_input input = {
		.event = machine->state == EXCLUSIVE_DONE ? UPGRADE_SWITCHED : UPGRADE_NOT_SWITCHED,
		.now = now_usec(),
		.why = machine->failure.text,
		.step = exclusive_state_to_string(machine->failed_in),
		.untouched = !machine->touched,
	};

	run->neither = machine->state == EXCLUSIVE_FAILED;
	run->untouched = input.untouched;
	/* it was undone because the upgrade was */
	if (run->machine.state == UPGRADE_UNDO)
		input.event = machine->state == EXCLUSIVE_UNDONE ? UPGRADE_BACK : UPGRADE_NOT_BACK;
	if (input.event == UPGRADE_NOT_BACK)
		input.why = "the old slot could not be started again";
	run->carry_out(run, upgrade_step(&run->machine, &input));
}

void upgrade_exclusive_switch(struct upgrade_run *run)
{
	const struct upgrade_plan *plan = &run->machine.plan;
	struct exclusive_order order = {
		.verb = VERB_SWITCHOVER,
		.to = (int)plan->to,
		.ready_usec = plan->ready_usec,
		.smoke = run->smoke_command,
		.smoke_usec = plan->smoke_usec,
		.smoke_may_be_silent = run->smoke_may_be_silent,
		.on_end = on_switched,
		.userdata = run,
		.uid = run->uid,
	};
	struct problem refusal = {0};
	enum gate_answer gate;

	run->untouched = true;
	if (exclusive_run_start(run->service, &order, NULL, &gate, &refusal) < 0 ||
	    gate != GATE_OPEN)
		proceed(run, UPGRADE_NOT_SWITCHED, refusal.text);
}

/* ---- and back ---- */

/* Clients are served by the old slot, and no switchover is under way. */
static bool is_back(const struct upgrade_run *run)
{
	uint64_t word = plane_word(run->service->plane);
	unsigned from = run->machine.plan.from;

	return !(hs_word_flags(word) & HS_FLAG_EXCLUSIVE) && hs_word_active(word) == from &&
	       plane_slot_sockets(run->service->plane, from);
}

static void on_way_back_ended(const struct exclusive *machine, void *userdata)
{
	struct upgrade_run *run = userdata;
	struct problem why;

	problem_set(&why, 0, "slot %u: %.200s; %s", machine->plan.to, machine->failure.text,
		    machine->state == EXCLUSIVE_UNDONE
			    ? "so the new version was started again, and serves"
			    : "new connections wait until an instance is there");
	proceed(run, machine->state == EXCLUSIVE_DONE ? UPGRADE_BACK : UPGRADE_NOT_BACK, why.text);
}

/* The old slot has to start again. */
static bool go_back(struct upgrade_run *run)
{
	struct exclusive_order order = {
		.verb = VERB_ROLLBACK,
		.to = (int)run->machine.plan.from,
		.on_end = on_way_back_ended,
		.userdata = run,
		.uid = run->uid,
	};

	/* if there was none that could be started, there is none now */
	return !run->neither && exclusive_run_back(run->service, &order, run->machine.plan.to) >= 0;
}

void upgrade_exclusive_undo(struct upgrade_run *run)
{
	enum upgrade_event event = UPGRADE_NOT_BACK;

	if (run->service->exclusive) {
		exclusive_run_cancel(run->service->exclusive, run->machine.failure.text);
		return;
	}
	if (is_back(run))
		event = UPGRADE_BACK;
	else if (go_back(run))
		return;
	proceed(run, event, "the old slot could not be started again");
}
