// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/drain_run.h"

#include <inttypes.h>
#include <string.h>
#include <syslog.h>

#include "core/change/drain.h"
#include "plane/peers.h"
#include "plane/plane_front.h"
#include "service/report/connections.h"
#include "service/report/report.h"
#include "service/slot/front_slots.h"
#include "service/slot/instance.h"
#include "service/slot/orders.h"
#include "service/slot/retirement.h"
#include "service/slot/states.h"
#include "util/clock.h"
#include "util/macro.h"

struct drain_run {
	struct run run;
	struct drain machine;
	struct plane_drain noted; /* for the next hsd */
	struct work *reset;
	json_object *last; /* what those left at the deadline are doing; NULL: none, or not known */
	struct problem details;
};

static struct drain_run *drain_of(const struct run *run)
{
	return container_of(run, struct drain_run, run);
}

/* ---- looking ---- */

/* Of UDP, where the server has a socket for each: those stay with it. -errno: they could not be
 * listed. */
static int count_clients(const struct run *run, uint64_t *ret_n)
{
	uint64_t peers[HS_SLOTS_MAX];
	int r = plane_peers(run->service->plane, peers);

	*ret_n = r < 0 ? 0 : peers[run->from];
	return r;
}

static uint64_t count_left(const struct run *run)
{
	struct slot_totals totals = {0};
	uint64_t clients;

	plane_slot_totals(run->service->plane, run->from, &totals);
	count_clients(run, &clients);
	/* what was counted before it was out may have been fewer */
	if (plane_front_is_behind(run->service->plane))
		return MAX(totals.connections + clients, UINT64_C(1));
	return totals.connections + clients;
}

static struct instance *instance_of(const struct run *run)
{
	return run->from < run->service->n_slots ? run->service->instances[run->from] : NULL;
}

static uint64_t wake(const struct run *run, uint64_t now)
{
	return drain_wake(&drain_of(run)->machine, now);
}

static struct drain_input look_at(const struct run *run)
{
	const struct instance *instance = instance_of(run);
	struct drain_input input = {
		.now = now_usec(),
		.is_busy = instance && instance_is_adopting(instance),
		.is_leaving = instance && instance_is_retiring(instance),
		.left = count_left(run),
	};

	input.is_out = !input.is_leaving && !plane_slot_sockets(run->service->plane, run->from);
	return input;
}

static unsigned step(struct run *run, enum drain_event event, const char *failure)
{
	struct drain_input input = look_at(run);

	input.event = event;
	input.failure = failure;
	return drain_step(&drain_of(run)->machine, &input);
}

/* Another host that goes on with it, too, may have been told to let it be, or has ended it. Near to
 * the deadline, which is noted in seconds, it has ended it, and so do we. */
static unsigned look(struct run *run)
{
	const struct drain_run *drain = drain_of(run);
	bool left = drain_can_cancel(&drain->machine) &&
		    now_usec() / USEC_PER_SEC + 1 < drain->noted.deadline_sec &&
		    !plane_is_noted(run->service->plane, &drain->noted);

	return step(run, left && count_left(run) ? DRAIN_CANCEL : DRAIN_LOOK, NULL);
}

/* ---- telling ---- */

/* " The oldest: 2h 5min. Idle for 1min or longer: 2, the idlest for 12min." */
static void describe_last(struct drain_run *drain)
{
	static const char *const keys[] = {"oldest_ms", "idle", "longest_idle_ms"};
	char age[SPAN_TEXT_MAX], after[SPAN_TEXT_MAX], span[SPAN_TEXT_MAX];
	json_object *value[ARRAY_SIZE(keys)];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!json_object_object_get_ex(drain->last, keys[i], &value[i]) || !value[i])
			return;
	problem_set(
		&drain->details, 0,
		" The oldest: %s. Idle for %s or longer: %" PRId64 ", the idlest for %s.",
		span_format(json_object_get_int64(value[0]) * USEC_PER_MSEC, age, sizeof(age)),
		span_format(CONNECTIONS_IDLE_USEC, after, sizeof(after)),
		json_object_get_int64(value[1]),
		span_format(json_object_get_int64(value[2]) * USEC_PER_MSEC, span, sizeof(span)));
}

/* Who holds on, and are they doing anything? Too late to look afterwards; not while it goes on, for
 * that would be dear with very many. */
static void examine(struct run *run)
{
	static const struct connections_query query = {.idle_usec = CONNECTIONS_IDLE_USEC};
	struct drain_run *drain = drain_of(run);
	json_object *slots, *all = connections_report(run->service->plane, run->from + 1, &query);

	if (json_object_object_get_ex(all, "slots", &slots))
		drain->last = json_object_get(json_object_array_get_idx(slots, run->from));
	json_object_put(all);
	describe_last(drain);
}

static json_object *progress(struct run *run)
{
	return report_drain_progress(&drain_of(run)->machine, run->service->name, now_usec());
}

static enum run_result describe(struct run *run, struct problem *ret_sentence)
{
	const struct drain_run *drain = drain_of(run);
	struct drain_rest rest = {.details = drain->details.text,
				  .front = service_is_front(run->service)};

	rest.blind = count_clients(run, &rest.clients) < 0;
	drain_describe(&drain->machine, run->service->name, &rest, ret_sentence);
	if (drain->machine.state == DRAIN_DONE)
		return RUN_DONE;
	return drain->machine.state == DRAIN_UNDONE ? RUN_UNDONE : RUN_FAILED;
}

static json_object *outcome(struct run *run)
{
	return report_drain(&drain_of(run)->machine, run->service->name, now_usec(),
			    drain_of(run)->last, run->sentence.text);
}

/* ---- doing ---- */

static void prepare(struct run *run, unsigned actions)
{
	if (actions & DRAIN_DO_EXAMINE)
		examine(run);
}

static unsigned on_job_ended(struct run *run, const char *failure)
{
	return step(run, failure ? DRAIN_NOT_ENDED : DRAIN_ENDED, failure);
}

static void on_reset(struct work_answer *answer, void *userdata)
{
	struct run *run = userdata;
	struct drain_input input = {
		.event = answer->result < 0 ? DRAIN_NOT_ENDED : DRAIN_ENDED,
		.now = now_usec(),
		.reset = MAX(answer->result, 0),
		.failure = answer->problem.text,
	};

	drain_of(run)->reset = NULL;
	run_go_on(run, drain_step(&drain_of(run)->machine, &input));
}

/* To end a connection takes its lock, which the instance may hold: another process does it. */
static unsigned reset_them(struct run *run)
{
	struct work_order order = {.kind = WORK_RESET};
	struct instance *instance = instance_of(run);
	int r = -ENOENT;

	if (instance)
		r = instance_order(instance, &order, on_reset, run, &drain_of(run)->reset);
	return r < 0 ? step(run, DRAIN_NOT_ENDED, strerror(-r)) : 0;
}

static unsigned carry_out(struct run *run, unsigned actions)
{
	struct instance *instance = instance_of(run);

	/* with fewer Slots= than before nobody is there who could, and it ends at the next look */
	if (actions & DRAIN_DO_LEAVE && instance) {
		plane_set_drained(run->service->plane, run->from, true);
		if (service_is_front(run->service)) {
			front_slot_leave(run->service, run->from);
			plane_front_look_again(run->service->plane);
		} else {
			instance_retire(instance, NULL);
		}
	}
	if (actions & DRAIN_DO_STOP)
		return run_start_job(run, UNIT_STOP, run->from);
	return actions & DRAIN_DO_RESET ? reset_them(run) : 0;
}

/* The note goes last: should we end before, the next host finds it, and ends this. A slot that is
 * still about to leave is out of service then, and stays so. */
static bool claim(struct run *run)
{
	const struct instance *instance = instance_of(run);
	struct plane *plane = run->service->plane;

	if (plane_slot_sockets(plane, run->from) && !(instance && instance_is_retiring(instance)))
		plane_set_drained(plane, run->from, false);
	return plane_forget_drain(plane, &drain_of(run)->noted);
}

static void ended(struct run *run)
{
	drain_of(run)->reset = work_forget(drain_of(run)->reset);
}

static void done(struct run *run)
{
	work_forget(drain_of(run)->reset);
	json_object_put(drain_of(run)->last);
}

static const struct run_kind kind = {
	.work = SERVICE_DRAIN,
	.size = sizeof(struct drain_run),
	.do_tell = DRAIN_DO_TELL,
	.do_end = DRAIN_DO_END,
	.next_goes_on = true,
	.wake = wake,
	.look = look,
	.prepare = prepare,
	.carry_out = carry_out,
	.job_ended = on_job_ended,
	.progress = progress,
	.describe = describe,
	.outcome = outcome,
	.claim = claim,
	.ended = ended,
	.done = done,
};

bool drain_run_cancel(struct service *service)
{
	struct run *run = service->runs[SERVICE_DRAIN];

	if (!drain_can_cancel(&drain_of(run)->machine))
		return false;
	run_go_on(run, step(run, DRAIN_CANCEL, NULL));
	return true;
}

/* ---- beginning ---- */

/* Where nobody has said what is under way: hsd was gone in the middle of it, and hsctl does not
 * know how to go on. False: there is none that would be in the way. */
static bool is_left(const struct service *service, unsigned slot, struct problem *ret_refusal)
{
	struct plane_upgrade upgrade;
	struct plane_drain drain;

	if (plane_upgrade(service->plane, &upgrade))
		problem_set(ret_refusal, 0,
			    "%s: hsd was gone in the middle of an upgrade, and the next one "
			    "finishes or undoes it; start it: systemctl start hsd",
			    service->name);
	else if (plane_drain(service->plane, &drain) && drain.slot != slot &&
		 plane_is_drained(service->plane, drain.slot))
		problem_set(ret_refusal, 0,
			    "%s: slot %u is being drained, with which hsd goes on; start it: "
			    "systemctl start hsd; or take the slot back: hsctl adopt "
			    "%s@%u.service",
			    service->name, drain.slot, service->name, drain.slot);
	return ret_refusal->text[0];
}

/* A drain must not take the service away. False: refused, with the sentence. */
static bool gate(const struct service *service, unsigned slot, struct problem *ret_refusal)
{
	enum slot_state states[HS_SLOTS_MAX];
	const char *name = service->name;
	bool front = service_is_front(service);

	service_states(service, states);
	if (slot >= service->n_slots)
		problem_set(ret_refusal, 0, "%s has no slot %u; see hsctl status %s", name, slot,
			    name);
	else if (service_busy(service) != SERVICE_IDLE)
		gate_describe(GATE_BUSY, name, slot, SLOT_DOWN, ret_refusal);
	else if (states[slot] != SLOT_READY && states[slot] != SLOT_LEAVING)
		problem_set(ret_refusal, 0, "%s: slot %u is %s, there is nothing to drain", name,
			    slot, slot_state_to_string(states[slot]));
	else if (!(slots_ready(states, service->n_slots) & ~(1U << slot)))
		problem_set(ret_refusal, 0,
			    "%s: no other slot is ready to take over from slot %u; %s%s%s", name,
			    slot, front ? "see hsctl status " : "start one: systemctl start ", name,
			    front ? "" : "@N");
	else
		return !is_left(service, slot, ret_refusal);
	return false;
}

static int new_drain(struct service *service, const struct plane_drain *noted, struct run **ret_run)
{
	int r = run_new(&kind, service, ret_run);

	if (r < 0)
		return r;
	(*ret_run)->journal = JOURNAL_DRAIN;
	(*ret_run)->verb = "drain";
	(*ret_run)->from = noted->slot;
	(*ret_run)->to = HS_SLOT_NONE;
	(*ret_run)->by.uid = noted->uid;
	drain_of(*ret_run)->noted = *noted;
	return 0;
}

static struct drain_plan make_plan(const struct service *service, unsigned slot,
				   uint64_t patience_usec)
{
	static const unsigned at_deadline[DRAIN_END_COUNT] = {
		[DRAIN_END_STOP] = DRAIN_DO_STOP,
		[DRAIN_END_RESET] = DRAIN_DO_RESET,
	};

	return (struct drain_plan) {
		.slot = slot,
		.patience_usec = patience_usec,
		/* what a host has goes on, whoever waits for its end */
		.at_deadline =
			service_is_front(service) ? 0 : at_deadline[service->config.drain_end],
	};
}

void drain_run_start(struct service *service, unsigned slot, uint64_t patience_usec,
		     struct request *request)
{
	struct drain_plan plan = make_plan(service, slot, patience_usec);
	struct plane_drain noted = {
		.slot = slot,
		.deadline_sec = (now_usec() + patience_usec + USEC_PER_SEC - 1) / USEC_PER_SEC,
	};
	struct journal_actor by;
	struct problem refusal = {0};
	struct drain_input input;
	struct run *run;
	int r;

	request_actor(request, &by);
	noted.uid = by.uid;
	if (!gate(service, slot, &refusal)) {
		request_fail(request, REQUEST_REFUSED, "%s", refusal.text);
		return;
	}
	r = new_drain(service, &noted, &run);
	if (r < 0) {
		request_fail_errno(request, r);
		return;
	}
	plane_note_drain(service->plane, &noted);
	input = look_at(run);
	run_begin(run, &request, drain_begin(&drain_of(run)->machine, &plan, &input));
}

/* ---- one that the hsd before has left in the middle ---- */

static void tell_left(const struct service *service, const struct plane_drain *noted,
		      const char *what)
{
	struct journal_scope scope = {service->name, (int)noted->slot, LOG_WARNING};

	journal_log(JOURNAL_DRAIN, &scope,
		    "%s: hsd was gone in the middle of a drain of slot %u; %s", service->name,
		    noted->slot, what);
}

/* It is to leave, and has not yet. */
static bool is_to_leave(const struct service *service, unsigned slot)
{
	return plane_is_drained(service->plane, slot) && plane_slot_sockets(service->plane, slot);
}

static void give_up(struct service *service, const struct plane_drain *noted, const char *why)
{
	tell_left(service, noted, why);
	plane_forget_drain(service->plane, noted);
	if (noted->slot >= service->n_slots || !is_to_leave(service, noted->slot))
		return;
	if (service_is_front(service))
		front_slot_return(service, noted->slot);
	else
		instance_adopt(service->instances[noted->slot], NULL);
}

static uint64_t time_left(const struct plane_drain *noted, uint64_t now)
{
	uint64_t deadline = noted->deadline_sec * USEC_PER_SEC;

	return deadline > now ? deadline - now : 0;
}

static unsigned begin_again(struct run *run, bool leaves)
{
	struct drain_run *drain = drain_of(run);
	struct drain_input input = look_at(run);
	struct drain_plan plan =
		make_plan(run->service, run->from, time_left(&drain->noted, input.now));

	return leaves ? drain_begin(&drain->machine, &plan, &input)
		      : drain_resume(&drain->machine, &plan, &input);
}

int drain_run_resume(struct service *service)
{
	struct problem refusal = {0};
	struct plane_drain noted;
	struct run *run;
	bool leaves;
	int r;

	if (!plane_drain(service->plane, &noted))
		return 0;
	leaves = is_to_leave(service, noted.slot);
	if (leaves && !gate(service, noted.slot, &refusal)) {
		give_up(service, &noted, refusal.text);
		return 0;
	}
	r = new_drain(service, &noted, &run);
	if (r < 0)
		return r;
	tell_left(service, &noted, "it goes on");
	run_begin(run, NULL, begin_again(run, leaves));
	return 0;
}
