// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/failover/failover.h"

#include <string.h>
#include <syslog.h>

#include "plane/act/adopt.h"
#include "plane/act/retire.h"
#include "plane/act/waiting.h"
#include "service/change/change_run.h"
#include "service/failover/left.h"
#include "service/failover/tasting.h"
#include "service/slot/instance.h"
#include "service/slot/orders.h"
#include "service/slot/states.h"
#include "service/watch/hang.h"
#include "service/watch/health.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* A handshake whose last step runs on another CPU right at the flip has got into the queue after
 * this time; see plane/act/retire.h. */
#define FLIP_TO_BOUNCE (2 * USEC_PER_MSEC)

/* That it is full, and nothing can be done, is not told more often: close to its limit a server
 * accepts now and then. */
#define FULL_TOLD_USEC (60 * USEC_PER_SEC)

struct stuck {
	struct failover *failover;
	unsigned slot;
	bool ill_told; /* that it is unhealthy and nothing could be done */
	bool told;     /* that it hangs and nothing could be done */
	uint64_t full_told;
	bool leaving;		 /* taken out of service by us: no need to resume */
	struct trouble *trouble; /* of the service */
	struct left left;
	struct tasting *tasting; /* whether slot `tasted` accepts, so that what waits can move */
	unsigned tasted;
	uint64_t tasted_since;
	int moved;
	sd_event_source *timer;
	struct work *work; /* its queue is being moved, or it is being looked at */
};

struct failover {
	struct service *service;
	uint64_t last; /* 0 = none yet */
	struct stuck stuck[HS_SLOTS_MAX];
};

static void on_back(void *userdata);

DEFINE_CLEANUP(struct failover, failover_free)

int failover_new(struct service *service, struct failover **ret_failover)
{
	_cleanup_(failover_freep) struct failover *failover = calloc(1, sizeof(*failover));
	int r;

	if (!failover)
		return -ENOMEM;
	failover->service = service;
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
		struct stuck *stuck = &failover->stuck[slot];

		stuck->failover = failover;
		stuck->slot = slot;
		stuck->trouble = &service->troubles[slot];
		stuck->trouble->still = &stuck->left.standing.still;
		r = left_init(&stuck->left, service, slot, on_back, stuck);
		if (r < 0)
			return r;
	}
	*ret_failover = steal_ptr(&failover);
	return 0;
}

struct failover *failover_free(struct failover *failover)
{
	if (!failover)
		return NULL;
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
		sd_event_source_disable_unref(failover->stuck[slot].timer);
		work_forget(failover->stuck[slot].work);
		tasting_free(failover->stuck[slot].tasting);
		left_done(&failover->stuck[slot].left);
		if (failover->stuck[slot].trouble)
			*failover->stuck[slot].trouble = (struct trouble) {0};
	}
	free(failover);
	return NULL;
}

uint64_t failover_hold(const struct failover *failover)
{
	uint64_t end = failover->last + failover->service->config.failover_hold_usec;
	uint64_t now = now_usec();

	return failover->last && end > now ? end - now : 0;
}

/* ---- evidence ---- */

static const char *const kind_words[] = {
	[STANDSTILL_IS_FULL] = "is full",
	[STANDSTILL_HANGS] = "hangs",
	[STANDSTILL_IS_FROZEN] = "is frozen, or held by a debugger",
};

static void describe(struct stuck *stuck, const struct stall_evidence *evidence, bool starting)
{
	char waited[SPAN_TEXT_MAX], ago[SPAN_TEXT_MAX], last[128] = "none was accepted before";

	if (starting)
		snprintf(last, sizeof(last),
			 "it has accepted none since it started; Probe= tells when it is ready");
	else if (!evidence->last_accept && plane_paths(stuck->failover->service->plane)->entries)
		snprintf(last, sizeof(last), "when it was that one was accepted is not known");
	else if (evidence->last_accept)
		snprintf(last, sizeof(last), "the last accept was %s ago",
			 span_format(evidence->last_accept, ago, sizeof(ago)));
	problem_set(&stuck->trouble->problem, 0,
		    "it %s: %u connection%s and none was accepted%s for %s; %s",
		    kind_words[stuck->trouble->kind], evidence->queued,
		    evidence->queued == 1 ? " waits" : "s wait",
		    evidence->one_socket ? " on one of its sockets" : "",
		    span_format(evidence->waited, waited, sizeof(waited)), last);
}

static void tell(const struct stuck *stuck, enum journal_kind kind, int priority, const char *what)
{
	const struct service *service = stuck->failover->service;
	struct journal_scope scope = {service->name, stuck->slot, priority};

	journal_log(kind, &scope, "%s: slot %u: %s", service->name, stuck->slot, what);
}

static enum journal_kind kind_of(const struct stuck *stuck)
{
	return stuck->trouble->kind == STANDSTILL_IS_FULL ? JOURNAL_FULL : JOURNAL_HANG;
}

/* Once for each hang. */
static void tell_helpless(struct stuck *stuck, const char *why)
{
	struct problem text;

	if (stuck->told || (stuck->trouble->kind == STANDSTILL_IS_FULL && stuck->full_told &&
			    now_usec() - stuck->full_told < FULL_TOLD_USEC))
		return;
	stuck->told = true;
	if (stuck->trouble->kind == STANDSTILL_IS_FULL)
		stuck->full_told = now_usec();
	problem_set(&text, 0, "%.300s; %s", stuck->trouble->problem.text, why);
	tell(stuck, kind_of(stuck), LOG_WARNING, text.text);
}

static void tell_held(struct stuck *stuck)
{
	const struct failover *failover = stuck->failover;
	char ago[SPAN_TEXT_MAX], hold[SPAN_TEXT_MAX];
	struct problem why;

	problem_set(&why, 0,
		    "it is left alone until FailoverHold=%s has passed since the last fail-over, "
		    "which was %s ago",
		    span_format(failover->service->config.failover_hold_usec, hold, sizeof(hold)),
		    span_format(now_usec() - failover->last, ago, sizeof(ago)));
	tell_helpless(stuck, why.text);
}

/* ---- taking it out of service ---- */

/* One that was left is to stand by again. */
static void on_back(void *userdata)
{
	struct stuck *stuck = userdata;
	struct service *service = stuck->failover->service;

	stuck->trouble->problem.text[0] = '\0';
	plane_set_suspect(service->plane, stuck->slot, false);
	instance_adopt(service->instances[stuck->slot], NULL);
	tell(stuck, JOURNAL_RECOVERED, LOG_NOTICE, "it serves again, and stands by");
	stuck->told = false;
}

static struct instance *instance_of(const struct stuck *stuck)
{
	return stuck->failover->service->instances[stuck->slot];
}

static void move_queue(struct stuck *stuck, work_fn on_moved)
{
	struct work_order order = {.kind = WORK_BOUNCE};
	struct work_answer none = {.result = -ENOMEM};

	if (instance_order(instance_of(stuck), &order, on_moved, stuck, &stuck->work) < 0)
		on_moved(&none, stuck);
}

/* Without memory for a pause there is none: it only makes that fewer move twice. */
static void pause_then(struct stuck *stuck, uint64_t usec, uint64_t accuracy,
		       sd_event_time_handler_t then)
{
	if (sd_event_add_time_relative(stuck->failover->service->host->event, &stuck->timer,
				       CLOCK_MONOTONIC, usec, accuracy, then, stuck) < 0)
		then(NULL, 0, stuck);
}

/* It is on its way out. */
static bool is_going(const struct stuck *stuck)
{
	return stuck->timer || stuck->work;
}

static void on_moved_again(struct work_answer *answer, void *userdata)
{
	struct stuck *stuck = userdata;

	(void)answer;
	stuck->work = NULL;
	left_begin(&stuck->left);
}

/* Handshakes that began before the flip have finished. */
static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct stuck *stuck = userdata;

	(void)usec;
	stuck->timer = sd_event_source_disable_unref(source);
	move_queue(stuck, on_moved_again);
	return 0;
}

static void tell_left(struct stuck *stuck)
{
	struct service *service = stuck->failover->service;
	unsigned active = hs_word_active(plane_word(service->plane));
	struct problem text, future;

	left_describe_future(&stuck->left, stuck->trouble->kind, &future);
	problem_set(&text, 0, "%.300s; slot %u is active, %d waiting moved; %.150s",
		    stuck->trouble->problem.text, active, MAX(stuck->moved, 0), future.text);
	tell(stuck, kind_of(stuck), LOG_WARNING, text.text);
	stuck->told = true;
	run_look(service->runs[SERVICE_CHANGE]);
	service_changed(service);
}

static void on_moved(struct work_answer *answer, void *userdata)
{
	struct stuck *stuck = userdata;
	struct service *service = stuck->failover->service;

	stuck->work = NULL;
	stuck->moved = answer->result;
	if (answer->result < 0 && answer->problem.text[0])
		tell(stuck, JOURNAL_PROBLEM, LOG_WARNING, answer->problem.text);
	tell_left(stuck);
	pause_then(stuck, service->config.settle_usec, USEC_PER_MSEC, on_settled);
}

static int on_flipped(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct stuck *stuck = userdata;

	(void)usec;
	stuck->timer = sd_event_source_disable_unref(source);
	move_queue(stuck, on_moved);
	return 0;
}

/* Nothing new goes there. */
static void go_on(struct stuck *stuck)
{
	stuck->leaving = true;
	stuck->tasting = tasting_free(stuck->tasting);
	left_note_run(&stuck->left);
	pause_then(stuck, FLIP_TO_BOUNCE, 1, on_flipped);
}

/* On some address: one of them may be stuck and the others not. */
static bool has_several_sockets(const struct plane *plane, unsigned slot)
{
	uint64_t cookies[HS_SHARDS_MAX];
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++)
		if (!listeners[i]->address.udp && listener_sockets(listeners[i], slot, cookies) > 1)
			return true;
	return false;
}

static void leave(struct stuck *stuck, unsigned to)
{
	struct plane *plane = stuck->failover->service->plane;
	bool active = hs_word_active(plane_word(plane)) == stuck->slot;

	stuck->left.in_part &= has_several_sockets(plane, stuck->slot);
	waiting_leave(plane, stuck->slot, to);
	service_post(stuck->failover->service, EVENT_LEFT, stuck->slot, false);
	if (active)
		stuck->failover->last = now_usec();
	go_on(stuck);
}

/* Who takes over: a ready slot, and the active one where the slot that hangs is another. */
static unsigned successor(const struct service *service, unsigned slot)
{
	unsigned active = hs_word_active(plane_word(service->plane));
	enum slot_state states[HS_SLOTS_MAX];

	service_states(service, states);
	if (states[slot] != SLOT_READY && states[slot] != SLOT_INCOMPLETE &&
	    states[slot] != SLOT_SUSPECT && states[slot] != SLOT_FULL)
		return slot;
	if (active != slot && active < service->n_slots && states[active] == SLOT_READY)
		return active;
	return service_pick(service, slot, false);
}

/* What waits there are probes, and what hsctl exec sends: no client. */
static bool is_resting(const struct service *service, unsigned slot)
{
	uint64_t word = plane_word(service->plane);

	return hs_word_policy(word) == HS_POLICY_STANDBY && hs_word_active(word) != slot &&
	       hs_word_canary(word) != slot;
}

static void on_waiting(struct service *service, unsigned slot)
{
	struct stuck *stuck = &service->failover->stuck[slot];

	standing_note(&stuck->left.standing, instance_of(stuck));
}

static void on_accepting(struct service *service, unsigned slot)
{
	standing_forget(&service->failover->stuck[slot].left.standing);
}

static void judge(struct stuck *stuck, const struct stall_evidence *evidence)
{
	stuck->trouble->kind = standing_kind(&stuck->left.standing, instance_of(stuck));
	stuck->trouble->found = false;
	stuck->left.in_part = evidence->one_socket;
}

/* ---- one that is full ----
 *
 * What waits would only wait elsewhere, if the other slot is at its limit as well. So that is tried
 * before, which takes a moment; one that hangs is left at once.
 */

static void on_tasted(void *userdata)
{
	struct stuck *stuck = userdata;
	struct service *service = stuck->failover->service;

	stuck->tasting = tasting_free(stuck->tasting);
	if (!is_going(stuck) && hang_stalled(service->hang, stuck->slot) &&
	    successor(service, stuck->slot) == stuck->tasted)
		leave(stuck, stuck->tasted);
}

static void leave_if_accepted(struct stuck *stuck, unsigned to)
{
	struct service *service = stuck->failover->service;
	struct problem why;
	uint32_t queued;

	problem_set(&why, 0, "slot %u accepts nothing either, so it is left alone", to);
	if (stuck->tasting && stuck->tasted == to) {
		if (now_usec() - stuck->tasted_since >= service->config.stall_usec)
			tell_helpless(stuck, why.text);
		return;
	}
	/* at a path nobody is asked: who has somebody waiting is at its limit as well */
	if (paths_queued(plane_paths(service->plane), to, &queued)) {
		tell_helpless(stuck, "it could not be asked whether another slot accepts, so it is "
				     "left alone");
		return;
	}
	if (queued) {
		tell_helpless(stuck, why.text);
		return;
	}
	stuck->tasting = tasting_free(stuck->tasting);
	stuck->tasted = to;
	stuck->tasted_since = now_usec();
	if (tasting_new(service, to, on_tasted, stuck, &stuck->tasting) < 0)
		leave(stuck, to);
}

static void on_stalled(struct service *service, unsigned slot,
		       const struct stall_evidence *evidence)
{
	struct failover *failover = service->failover;
	struct stuck *stuck = &failover->stuck[slot];
	unsigned to = successor(service, slot);
	bool active = hs_word_active(plane_word(service->plane)) == slot, starting;

	/* it is on its way in or out */
	if (to == slot || is_going(stuck))
		return;
	starting = hang_is_starting(service->hang, slot);
	/* many listen long before they serve: who begins anew would never come to an end */
	if (starting && (is_resting(service, slot) ||
			 (to < HS_SLOTS_MAX && hang_is_starting(service->hang, to))))
		return;
	judge(stuck, evidence);
	describe(stuck, evidence, starting);
	if (service->config.failover == FAILOVER_MANUAL)
		tell_helpless(stuck, "nothing is done (Failover=manual); see hsctl failover");
	else if (to >= HS_SLOTS_MAX)
		tell_helpless(stuck, "no other slot is fit to take over, so it is left alone");
	else if (active && failover_hold(failover))
		tell_held(stuck);
	else if (stuck->trouble->kind == STANDSTILL_IS_FULL)
		leave_if_accepted(stuck, to);
	else
		leave(stuck, to);
}

/* ---- one that is unhealthy ---- */

static void tell_ill(struct stuck *stuck, const char *reason, const char *what)
{
	struct problem text;

	problem_set(&text, 0, "it is unhealthy: %.250s; %s", reason, what);
	tell(stuck, JOURNAL_FAILOVER, LOG_WARNING, text.text);
}

static void tell_ill_once(struct stuck *stuck, const char *reason, const char *what)
{
	if (!stuck->ill_told)
		tell_ill(stuck, reason, what);
	stuck->ill_told = true;
}

static bool is_healthy(const struct service *service, unsigned slot)
{
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(service, buffer);

	return slot < HS_SLOTS_MAX && health && health[slot].state == HEALTH_GOOD;
}

static void replace(struct stuck *stuck, unsigned to, const char *reason)
{
	struct service *service = stuck->failover->service;
	struct change_order order = {
		.verb = VERB_FAILOVER,
		.to = (int)to,
		.settle_usec = service->config.settle_usec,
	};
	struct problem what, refusal = {0};
	enum gate_answer answer;

	problem_set(&what, 0, "slot %u takes over", to);
	tell_ill(stuck, reason, what.text);
	if (change_run_start(service, &order, NULL, &answer, &refusal) >= 0 && answer == GATE_OPEN)
		stuck->failover->last = now_usec();
	else
		tell(stuck, JOURNAL_PROBLEM, LOG_WARNING, refusal.text);
	service_changed(service);
}

static void on_unhealthy(struct failover *failover, unsigned slot, const char *reason)
{
	struct service *service = failover->service;
	struct stuck *stuck = &failover->stuck[slot];
	unsigned to;

	/* it is on its way out, or what runs will see for itself */
	if (is_going(stuck) || service_busy(service) < SERVICE_CHANGE)
		return;
	if (service->runs[SERVICE_CHANGE]) {
		if (is_healthy(service, service->runs[SERVICE_CHANGE]->from))
			change_run_on_unhealthy(service, slot, reason);
		return;
	}
	to = service_pick(service, slot, false);
	if (service->config.failover == FAILOVER_MANUAL)
		tell_ill_once(stuck, reason,
			      "nothing is done (Failover=manual); see hsctl failover");
	else if (!is_healthy(service, to))
		tell_ill_once(stuck, reason, "no other slot is healthy, so it is left alone");
	else if (failover_hold(failover))
		tell_ill_once(stuck, reason, "the last fail-over was less than FailoverHold= ago");
	else
		replace(stuck, to, reason);
}

static void on_verdict(struct failover *failover, unsigned slot)
{
	struct service *service = failover->service;
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(service, buffer);

	if (health && health[slot].state == HEALTH_GOOD)
		failover->stuck[slot].ill_told = false;
	else if (health && health[slot].state == HEALTH_BAD &&
		 hs_word_active(plane_word(service->plane)) == slot)
		on_unhealthy(failover, slot, health[slot].reason);
}

/* ---- one that has recovered ---- */

static void on_served(struct service *service, unsigned slot)
{
	struct stuck *stuck = &service->failover->stuck[slot];

	stuck->trouble->problem.text[0] = '\0';
	stuck->leaving = false;
	stuck->tasting = tasting_free(stuck->tasting);
	if (stuck->told)
		tell(stuck, JOURNAL_RECOVERED, LOG_NOTICE, "it accepts connections again");
	stuck->told = false;
}

/* Another instance occupies the slot. */
static void forget(struct failover *failover, unsigned slot)
{
	struct stuck *stuck = &failover->stuck[slot];

	stuck->trouble->problem.text[0] = '\0';
	stuck->told = stuck->leaving = stuck->trouble->found = false;
	left_forget(&stuck->left);
	stuck->tasting = tasting_free(stuck->tasting);
	stuck->full_told = 0;
	stuck->ill_told = false;
	/* what was to be done about the earlier one is not to be done to this one */
	stuck->timer = sd_event_source_disable_unref(stuck->timer);
	stuck->work = work_forget(stuck->work);
}

void failover_on_slot_gone(struct failover *failover, unsigned slot)
{
	if (!failover)
		return;
	forget(failover, slot);
	left_end(&failover->stuck[slot].left);
}

static bool is_left(const struct service *service, unsigned slot)
{
	return hs_word_active(plane_word(service->plane)) != slot &&
	       !plane_slot_sockets(service->plane, slot);
}

static void on_occupied(struct work_answer *answer, void *userdata)
{
	struct stuck *stuck = userdata;
	struct service *service = stuck->failover->service;
	unsigned slot = stuck->slot, to;

	stuck->work = NULL;
	/* another instance has come, and does not listen yet: its adoption ends the suspicion */
	if (answer->result <= 0 || !plane_is_suspect(service->plane, slot))
		return;
	stuck->trouble->kind = STANDSTILL_HANGS;
	stuck->trouble->found = true;
	left_forget(&stuck->left);
	problem_set(&stuck->trouble->problem, 0,
		    "it accepted nothing, as was found before hsd started");
	to = successor(service, slot);
	if (to < HS_SLOTS_MAX && to != slot) {
		leave(stuck, to);
	} else if (is_left(service, slot)) {
		go_on(stuck);
	} else {
		/* nowhere to go: it is found again when it still hangs */
		plane_set_suspect(service->plane, slot, false);
	}
}

static void on_suspect(struct service *service, unsigned slot)
{
	struct stuck *stuck = &service->failover->stuck[slot];
	const struct unit_facts *facts = instance_facts(instance_of(stuck));
	struct work_order order = {.kind = WORK_OCCUPIED};

	if (stuck->leaving && left_is_of_this_run(&stuck->left))
		return;
	if (facts->state != UNIT_RUNNING || facts->job_pending || is_going(stuck) ||
	    stuck->left.job)
		return;
	instance_order(instance_of(stuck), &order, on_occupied, stuck, &stuck->work);
}

const struct hang_told failover_told = {
	.waiting = on_waiting,
	.accepting = on_accepting,
	.stalled = on_stalled,
	.served = on_served,
	.suspect = on_suspect,
};

void failover_heard(struct service *service, const struct event *event)
{
	if (!service->failover)
		return;
	if (event->kind == EVENT_VERDICT)
		on_verdict(service->failover, event->slot);
	else if (event->anew)
		forget(service->failover, event->slot);
}
