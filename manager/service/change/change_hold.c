// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/change_hold.h"

#include "service/change/exclusive_run.h"
#include "service/slot/instance.h"
#include "service/slot/states.h"
#include "service/watch/health.h"
#include "util/clock.h"
#include "util/macro.h"

struct change_hold {
	struct change_hold *next;
	struct service *service;
	struct change_order order;
	struct request *request;
	sd_event_source *timer;
	bool last_call;
};

static struct change_hold *hold_free(struct change_hold *hold)
{
	if (!hold)
		return NULL;
	sd_event_source_disable_unref(hold->timer);
	request_free(hold->request);
	free(hold);
	return NULL;
}

DEFINE_CLEANUP(struct change_hold, hold_free)

/* So long a change waits for systemd to tell about the slots, as hsd has just started, or for one
 * that has. */
#define KNOWN_PATIENCE (3 * USEC_PER_SEC)

/* Who has waited for systemctl start asks at once. systemd may not have told us as yet, or the
 * sockets, which listen since a moment ago, not be adopted. */
static bool is_coming(const struct service *service, const struct instance *instance)
{
	enum unit_state state = instance_facts(instance)->state;

	if (state == UNIT_START_POST)
		return true;
	return state == UNIT_RUNNING && (instance_is_adopting(instance) || instance->look_delay) &&
	       service->plane && !plane_slot_sockets(service->plane, instance->slot);
}

static bool one_is_coming(const struct service *service)
{
	for (unsigned i = 0; i < service->n_slots; i++)
		if (is_coming(service, service->instances[i]))
			return true;
	return false;
}

/* What refuses it now may be known in a moment to be no reason. */
static bool may_open(const struct service *service, enum gate_answer answer)
{
	return answer == GATE_UNPROVEN || ((!service_is_known(service) || one_is_coming(service)) &&
					   (answer == GATE_NOT_READY || answer == GATE_NO_STANDBY));
}

/* The request is taken if it begins. */
static int begin(struct change_hold *hold, enum gate_answer *ret_answer,
		 struct problem *ret_refusal)
{
	struct service *service = hold->service;
	const struct change_order *order = &hold->order;
	struct exclusive_order exclusive = {
		.verb = order->verb, .to = order->to, .drain_usec = order->drain_usec};

	if (!service->config.exclusive)
		return change_run_start(service, order, &hold->request, ret_answer, ret_refusal);
	return exclusive_run_start(service, &exclusive, &hold->request, ret_answer, ret_refusal);
}

/* Of an earlier change. For a moment the slot's sockets are in no map then, which would pass for
 * the loss of the slot. */
static bool is_moving(const struct service *service)
{
	for (unsigned i = 0; i < service->n_slots; i++)
		if (service->instances[i]->move_work)
			return true;
	return false;
}

/* True when it has begun or is refused: the request is, or will be, answered. */
static bool try_to_begin(struct change_hold *hold)
{
	struct problem refusal = {0};
	enum gate_answer answer;
	int r;

	if (is_moving(hold->service) && !hold->last_call)
		return false;
	r = begin(hold, &answer, &refusal);
	if (r < 0)
		hold->request = request_fail_errno(hold->request, r);
	else if (may_open(hold->service, answer) && !hold->last_call)
		return false;
	else if (answer != GATE_OPEN)
		hold->request = request_fail(hold->request, REQUEST_REFUSED, "%s", refusal.text);
	return true;
}

static void poke(struct service *service)
{
	struct change_hold *waiting = steal_ptr(&service->holds), *hold;

	while ((hold = waiting)) {
		waiting = hold->next;
		if (try_to_begin(hold)) {
			hold_free(hold);
			continue;
		}
		hold->next = service->holds;
		service->holds = hold;
	}
}

static int on_patience_over(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct change_hold *hold = userdata;

	(void)source;
	(void)usec;
	hold->last_call = true;
	poke(hold->service);
	return 0;
}

void change_hold_start(struct service *service, const struct change_order *order,
		       struct request *request)
{
	_cleanup_(hold_freep) struct change_hold *hold = calloc(1, sizeof(*hold));
	int r;

	if (!hold) {
		request_fail_errno(request, -ENOMEM);
		return;
	}
	hold->service = service;
	hold->order = *order;
	hold->request = request;
	if (try_to_begin(hold))
		return;
	r = sd_event_add_time_relative(service->host->event, &hold->timer, CLOCK_MONOTONIC,
				       MAX(health_patience(service), KNOWN_PATIENCE), USEC_PER_MSEC,
				       on_patience_over, hold);
	if (r < 0) {
		hold->request = request_fail_errno(hold->request, r);
		return;
	}
	hold->next = service->holds;
	service->holds = steal_ptr(&hold);
}

void change_hold_refuse_all(struct service *service)
{
	struct change_hold *hold;

	while ((hold = service->holds)) {
		service->holds = hold->next;
		hold->request = request_fail(hold->request, REQUEST_FAILED, "%s is managed no more",
					     service->name);
		hold_free(hold);
	}
}

void change_hold_heard(struct service *service, const struct event *event)
{
	if (event->kind != EVENT_VERDICT || event->anew)
		poke(service);
}
