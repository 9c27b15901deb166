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

/* ---- there ---- */

static unsigned proceed(struct upgrade_run *upgrade, enum upgrade_event event, const char *why)
{
	struct upgrade_input input = {
		.event = event, .now = now_usec(), .why = why, .untouched = upgrade->untouched};

	return upgrade_step(&upgrade->machine, &input);
}

unsigned upgrade_exclusive_switch(struct upgrade_run *upgrade)
{
	const struct upgrade_plan *plan = &upgrade->machine.plan;
	const struct run *run = &upgrade->run;
	struct exclusive_order order = {
		.verb = VERB_SWITCHOVER,
		.to = (int)plan->to,
		.ready_usec = plan->ready_usec,
		.smoke = run->smoke_command,
		.smoke_usec = plan->smoke_usec,
		.smoke_may_be_silent = run->smoke_may_be_silent,
		.of_upgrade = true,
		.by = &run->by,
	};
	struct problem refusal = {0};
	enum gate_answer gate;

	upgrade->untouched = true;
	if (exclusive_run_start(run->service, &order, NULL, &gate, &refusal) < 0 ||
	    gate != GATE_OPEN)
		return proceed(upgrade, UPGRADE_NOT_SWITCHED, refusal.text);
	return 0;
}

static unsigned on_switched(struct upgrade_run *upgrade, const struct exclusive *machine)
{
	struct upgrade_input input = {
		.event = machine->state == EXCLUSIVE_DONE ? UPGRADE_SWITCHED : UPGRADE_NOT_SWITCHED,
		.now = now_usec(),
		.why = machine->failure.text,
		.step = exclusive_state_to_string(machine->failed_in),
		.untouched = !machine->touched,
	};

	upgrade->neither = machine->state == EXCLUSIVE_FAILED;
	upgrade->untouched = input.untouched;
	/* it was undone because the upgrade was */
	if (upgrade->machine.state == UPGRADE_UNDO)
		input.event = machine->state == EXCLUSIVE_UNDONE ? UPGRADE_BACK : UPGRADE_NOT_BACK;
	if (input.event == UPGRADE_NOT_BACK)
		input.why = "the old slot could not be started again";
	return upgrade_step(&upgrade->machine, &input);
}

/* ---- and back ---- */

/* Clients are served by the old slot, and no switchover is under way. */
static bool is_back(const struct run *run)
{
	uint64_t word = plane_word(run->service->plane);

	return !(hs_word_flags(word) & HS_FLAG_EXCLUSIVE) && hs_word_active(word) == run->from &&
	       plane_slot_sockets(run->service->plane, run->from);
}

static unsigned on_way_back_ended(struct upgrade_run *upgrade, const struct exclusive *machine)
{
	struct problem why;

	problem_set(&why, 0, "slot %u: %.200s; %s", machine->plan.to, machine->failure.text,
		    machine->state == EXCLUSIVE_UNDONE
			    ? "so the new version was started again, and serves"
			    : "new connections wait until an instance is there");
	return proceed(upgrade, machine->state == EXCLUSIVE_DONE ? UPGRADE_BACK : UPGRADE_NOT_BACK,
		       why.text);
}

unsigned upgrade_exclusive_ended(struct upgrade_run *upgrade, const struct exclusive *machine)
{
	if (machine->plan.verb == VERB_ROLLBACK)
		return on_way_back_ended(upgrade, machine);
	return on_switched(upgrade, machine);
}

/* The old slot has to start again. */
static bool go_back(const struct upgrade_run *upgrade)
{
	const struct run *run = &upgrade->run;
	struct exclusive_order order = {
		.verb = VERB_ROLLBACK,
		.to = (int)run->from,
		.of_upgrade = true,
		.by = &run->by,
	};

	/* if there was none that could be started, there is none now */
	return !upgrade->neither && exclusive_run_back(run->service, &order, run->to) >= 0;
}

unsigned upgrade_exclusive_undo(struct upgrade_run *upgrade)
{
	struct service *service = upgrade->run.service;

	if (service->runs[SERVICE_EXCLUSIVE]) {
		exclusive_run_cancel(service, upgrade->machine.failure.text);
		return 0;
	}
	if (is_back(&upgrade->run))
		return proceed(upgrade, UPGRADE_BACK, NULL);
	if (go_back(upgrade))
		return 0;
	return proceed(upgrade, UPGRADE_NOT_BACK, "the old slot could not be started again");
}
