// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/upgrade_run.h"

#include <string.h>
#include <syslog.h>

#include "hsd/bus.h"
#include "hsd/change_run.h"
#include "hsd/health.h"
#include "hsd/instance.h"
#include "system/change.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* How often it looks although nobody has told of anything: progress, and what was overlooked. */
#define LOOK_EVERY  (250 * USEC_PER_MSEC)
#define SMOKE_USEC  (10 * 60 * USEC_PER_SEC)
#define SMOKE_GRACE (5 * USEC_PER_SEC)

struct upgrade_run {
	struct service *service;
	struct upgrade machine;
	char *smoke;
	uint32_t uid;		 /* of who asked for it */
	sd_bus_message *message; /* NULL: nobody waits for an answer */
	sd_event_source *timer;
	struct unit_job *job;
};

DEFINE_CLEANUP(struct upgrade_run, upgrade_run_free)

static void carry_out(struct upgrade_run *run, unsigned actions);

struct upgrade_run *upgrade_run_free(struct upgrade_run *run)
{
	if (!run)
		return NULL;
	sd_event_source_disable_unref(run->timer);
	unit_job_free(run->job);
	sd_bus_message_unref(run->message);
	free(run->smoke);
	free(run);
	return NULL;
}

/* ---- telling ---- */

static void tell_progress(const struct upgrade_run *run)
{
	const struct upgrade *machine = &run->machine;
	json_object *object = json_object_new_object();
	struct problem line = {0};
	uint64_t now = now_usec();

	upgrade_progress(machine, now, &line);
	json_object_object_add(object, "service", json_object_new_string(run->service->name));
	json_object_object_add(object, "step",
			       json_object_new_string(upgrade_state_to_string(machine->state)));
	json_object_object_add(object, "from", json_object_new_int(machine->plan.from));
	json_object_object_add(object, "to", json_object_new_int(machine->plan.to));
	json_object_object_add(object, "elapsed_us", json_object_new_uint64(now - machine->begun));
	json_object_object_add(object, "share",
			       json_object_new_double(upgrade_share(machine) / 65536.0));
	json_object_object_add(object, "text", json_object_new_string(line.text));
	bus_emit_progress(run->service, json_object_to_json_string(object));
	json_object_put(object);
}

/* What the next hsd needs to know. */
static void note(const struct upgrade_run *run)
{
	const struct upgrade *machine = &run->machine;
	struct plane_upgrade noted = {
		.state = machine->state,
		.from = machine->plan.from,
		.to = machine->plan.to,
	};

	plane_set_upgrade(run->service->plane, upgrade_ended(machine) ? NULL : &noted);
}

static void answer(const struct upgrade_run *run, const struct problem *sentence)
{
	const struct upgrade *machine = &run->machine;
	json_object *object;

	if (!run->message)
		return;
	if (machine->state != UPGRADE_DONE) {
		sd_bus_reply_method_errorf(run->message,
					   machine->state == UPGRADE_UNDONE ? BUS_ERROR_UNDONE
									    : BUS_ERROR_FAILED,
					   "%s", sentence->text);
		return;
	}
	object = json_object_new_object();
	json_object_object_add(object, "service", json_object_new_string(run->service->name));
	json_object_object_add(object, "verb", json_object_new_string("upgrade"));
	json_object_object_add(object, "from", json_object_new_int(machine->plan.from));
	json_object_object_add(object, "to", json_object_new_int(machine->plan.to));
	json_object_object_add(object, "outcome", json_object_new_string("done"));
	json_object_object_add(object, "duration_us",
			       json_object_new_uint64(now_usec() - machine->begun));
	json_object_object_add(object, "message", json_object_new_string(sentence->text));
	sd_bus_reply_method_return(run->message, "s", json_object_to_json_string(object));
	json_object_put(object);
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
	service->upgrade = NULL;
	bus_emit_changed(service);
	upgrade_run_free(run);
}

/* ---- looking ---- */

/* Why the new slot is not well, as a sentence; false when it is. */
static bool is_unwell(const struct upgrade_run *run, struct problem *ret_why)
{
	enum slot_state states[HS_SLOTS_MAX];
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = health_of(run->service, buffer);
	unsigned to = run->machine.plan.to;

	if (to >= run->service->n_slots) {
		problem_set(ret_why, 0, "slot %u is not there any more", to);
		return true;
	}
	service_states(run->service, states);
	if (states[to] != SLOT_READY) {
		problem_set(ret_why, 0, "slot %u is %s", to, slot_state_to_string(states[to]));
		return true;
	}
	if (!health || health[to].state == HEALTH_GOOD)
		return false;
	problem_set(ret_why, 0, "slot %u is %s%s%s", to,
		    health[to].state == HEALTH_BAD ? "unhealthy" : "not known to be healthy yet",
		    health[to].reason[0] ? ": " : "", health[to].reason);
	return true;
}

static unsigned step(struct upgrade_run *run, enum upgrade_event event, const char *why)
{
	struct upgrade_input input = {.event = event, .now = now_usec(), .why = why};
	struct problem unwell = {0};

	if (event == UPGRADE_LOOK) {
		input.lost = is_unwell(run, &unwell);
		input.ready = !input.lost;
		input.why = unwell.text;
	}
	return upgrade_step(&run->machine, &input);
}

void upgrade_run_poke(struct upgrade_run *run)
{
	if (run)
		carry_out(run, step(run, UPGRADE_LOOK, NULL));
}

void upgrade_run_cancel(struct upgrade_run *run)
{
	carry_out(run, step(run, UPGRADE_CANCEL, NULL));
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct upgrade_run *run = userdata;

	(void)source;
	(void)usec;
	tell_progress(run);
	carry_out(run, step(run, UPGRADE_LOOK, NULL));
	return 0;
}

static void set_timer(struct upgrade_run *run)
{
	uint64_t wake = MIN(upgrade_wake(&run->machine), now_usec() + LOOK_EVERY);

	if (!run->timer) {
		sd_event_add_time(run->service->context->event, &run->timer, CLOCK_MONOTONIC, wake,
				  USEC_PER_MSEC, on_wake, run);
		return;
	}
	sd_event_source_set_time(run->timer, wake);
	sd_event_source_set_enabled(run->timer, SD_EVENT_ONESHOT);
}

/* ---- doing ---- */

static void on_job(const char *result, const struct problem *problem, void *userdata)
{
	struct upgrade_run *run = userdata;
	bool done = !strcmp(result, "done");
	struct problem why;

	run->job = NULL;
	problem_set(&why, 0, "the unit of slot %u could not be restarted: %s%s%s",
		    run->machine.state == UPGRADE_REFRESH ? run->machine.plan.from
							  : run->machine.plan.to,
		    result, problem ? ": " : "", problem ? problem->text : "");
	carry_out(run, step(run, done ? UPGRADE_JOB_DONE : UPGRADE_JOB_FAILED, why.text));
}

static void restart(struct upgrade_run *run, unsigned slot)
{
	char unit[UNIT_NAME_MAX];

	name_unit(run->service->name, slot, unit, sizeof(unit));
	run->job = unit_job_free(run->job);
	if (unit_job_new(run->service->context->bus, UNIT_RESTART, unit, on_job, run, &run->job) <
	    0)
		on_job("failed", NULL, run);
}

static void on_smoke(const char *result, const struct problem *problem, void *userdata)
{
	struct upgrade_run *run = userdata;
	struct problem why;

	run->job = NULL;
	problem_set(&why, 0, "the smoke test failed: %s%s%s",
		    strcmp(result, "failed") ? result : "its exit status was not 0",
		    problem ? ": " : "", problem ? problem->text : "");
	carry_out(run, step(run, strcmp(result, "done") ? UPGRADE_SMOKE_FAILED : UPGRADE_SMOKE_DONE,
			    why.text));
}

/* Outside of our own sandbox, as a unit of its own: what it says is in the journal. */
static void smoke(struct upgrade_run *run)
{
	const struct upgrade *machine = &run->machine;
	char slot[8], name[UNIT_NAME_MAX];
	const char *argv[] = {HS_PREFIX "/bin/hsctl",
			      "exec",
			      run->service->name,
			      slot,
			      "--",
			      "/bin/sh",
			      "-c",
			      run->smoke,
			      NULL};
	struct unit_transient order = {
		.name = name,
		.description = "hotstandby smoke test",
		.argv = argv,
		.timeout_usec = machine->plan.smoke_usec - SMOKE_GRACE,
	};

	snprintf(slot, sizeof(slot), "%u", machine->plan.to);
	snprintf(name, sizeof(name), "hotstandby-smoke-%.200s.service", run->service->name);
	if (unit_transient_new(run->service->context->bus, &order, on_smoke, run, &run->job) < 0)
		on_smoke("failed", NULL, run);
}

static void set_canary(struct upgrade_run *run, unsigned slot, uint32_t share)
{
	struct plane *plane = run->service->plane;
	uint64_t word;

	do
		word = plane_word(plane);
	while (plane_swap_word(plane, word, word_with_canary(word, slot, share)));
	bus_emit_changed(run->service);
}

static void on_switched(enum switchover_state state, const char *sentence, void *userdata)
{
	struct upgrade_run *run = userdata;

	carry_out(run, step(run, state == SWITCHOVER_DONE ? UPGRADE_SWITCHED : UPGRADE_NOT_SWITCHED,
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

	if (change_run_start(service, &order, NULL, &gate, &refusal) < 0 || gate != GATE_OPEN)
		on_switched(SWITCHOVER_FAILED, refusal.text, run);
}

/* The old slot, as long as it lives, is where traffic was. */
static bool flip_back(struct upgrade_run *run)
{
	const struct upgrade_plan *plan = &run->machine.plan;
	struct plane *plane = run->service->plane;
	uint64_t word;

	do {
		word = plane_word(plane);
		if (hs_word_active(word) == plan->from)
			return true;
		if (!plane_slot_sockets(plane, plan->from))
			return false;
	} while (plane_swap_word(plane, word, word_with_active(word, plan->from)));
	return true;
}

static void undo(struct upgrade_run *run)
{
	run->job = unit_job_free(run->job);
	run->service->change = change_run_free(run->service->change);
	if (hs_word_canary(plane_word(run->service->plane)) == run->machine.plan.to)
		set_canary(run, HS_SLOT_NONE, 0);
	carry_out(run, step(run, flip_back(run) ? UPGRADE_BACK : UPGRADE_NOT_BACK, NULL));
}

/* Does what the state machine asks for. Frees the run when it has ended: the last thing a caller
 * does. */
static void carry_out(struct upgrade_run *run, unsigned actions)
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
	if (actions & UPGRADE_DO_CANARY)
		set_canary(run, plan->to, upgrade_share(&run->machine));
	if (actions & UPGRADE_DO_RESTART_NEW)
		restart(run, plan->to);
	else if (actions & UPGRADE_DO_RESTART_OLD)
		restart(run, plan->from);
	else if (actions & UPGRADE_DO_SMOKE)
		smoke(run);
	else if (actions & UPGRADE_DO_SWITCH)
		switch_over(run);
	else if (actions & UPGRADE_DO_UNDO)
		undo(run);
}

/* ---- beginning ---- */

/* The other slot need not be ready: it is started anew. Which one it is, is clear with two. */
static enum gate_answer gate(const struct service *service, unsigned *ret_to,
			     struct problem *ret_refusal)
{
	enum slot_state states[HS_SLOTS_MAX];
	unsigned active = hs_word_active(plane_word(service->plane));
	enum gate_answer answer = GATE_OPEN;

	service_states(service, states);
	*ret_to = slot_pick_standby(states, service->n_slots, active);
	for (unsigned i = 0; *ret_to >= HS_SLOTS_MAX && i < service->n_slots; i++)
		if (i != active)
			*ret_to = i;
	if (service->change || service->upgrade) {
		answer = GATE_BUSY;
		gate_describe(answer, service->name, *ret_to, SLOT_DOWN, ret_refusal);
	} else if (service->config.exclusive) {
		answer = GATE_NOT_READY;
		problem_set(ret_refusal, 0,
			    "%s: only one of its slots may run (Exclusive=yes), so the new version "
			    "cannot be tried beside the old one; switch over to it: hsctl "
			    "switchover %s",
			    service->name, service->name);
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

static struct upgrade_run *run_new(struct service *service, const struct upgrade_order *order,
				   unsigned from, unsigned to)
{
	_cleanup_(upgrade_run_freep) struct upgrade_run *run = calloc(1, sizeof(*run));
	struct upgrade_plan plan = {
		.from = from,
		.to = to,
		.smoke = order->smoke[0],
		.n_canary = order->n_canary,
		.hold_usec = order->hold_usec,
		.ready_usec = order->ready_usec,
		.smoke_usec = SMOKE_USEC,
		.probation_usec = order->probation_usec,
	};

	if (!run)
		return NULL;
	memcpy(plan.canary, order->canary, sizeof(plan.canary));
	run->service = service;
	run->uid = JOURNAL_UID_NONE;
	run->smoke = strdup(order->smoke);
	if (!run->smoke)
		return NULL;
	upgrade_init(&run->machine, &plan);
	return steal_ptr(&run);
}

int upgrade_run_start(struct service *service, const struct upgrade_order *order,
		      sd_bus_message *message, enum gate_answer *ret_answer,
		      struct problem *ret_refusal)
{
	struct upgrade_run *run;
	unsigned to;

	*ret_answer = gate(service, &to, ret_refusal);
	if (*ret_answer != GATE_OPEN)
		return 0;
	run = run_new(service, order, hs_word_active(plane_word(service->plane)), to);
	if (!run)
		return -ENOMEM;
	run->message = sd_bus_message_ref(message);
	run->uid = bus_sender_uid(message);
	service->upgrade = run;
	carry_out(run, step(run, UPGRADE_BEGIN, NULL));
	return 0;
}

void upgrade_run_resume(struct service *service)
{
	static const struct upgrade_order nothing = {.smoke = "", .ready_usec = USEC_PER_SEC};
	struct journal_scope scope = {service->name, -1, LOG_WARNING};
	struct plane_upgrade noted;
	struct problem unwell;
	struct upgrade_run *run;
	unsigned actions;

	if (service->upgrade || !plane_upgrade(service->plane, &noted))
		return;
	run = run_new(service, &nothing, noted.from, noted.to);
	if (!run)
		return;
	service->upgrade = run;
	scope.slot = noted.to;
	actions = upgrade_resume(&run->machine, noted.state,
				 hs_word_active(plane_word(service->plane)) == noted.to &&
					 !is_unwell(run, &unwell),
				 now_usec());
	journal_log(JOURNAL_UPGRADE, &scope,
		    "%s: hsd was gone in the middle of an upgrade, in its step \"%s\"; it is %s",
		    service->name, upgrade_state_to_string(noted.state),
		    actions & UPGRADE_DO_UNDO ? "undone" : "finished");
	carry_out(run, actions);
}
