// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/whole/calls.h"

#include "core/canary.h"
#include "plane/parts/table.h"
#include "plane/preview/exec.h"
#include "service/change/change_hold.h"
#include "service/change/drain_run.h"
#include "service/change/exclusive_run.h"
#include "service/change/parking.h"
#include "service/change/spread.h"
#include "service/host.h"
#include "service/keep/park.h"
#include "service/later.h"
#include "service/slot/front_facts.h"
#include "service/slot/states.h"
#include "service/upgrade/rolling_run.h"
#include "service/watch/health.h"
#include "service/whole/calls_spread.h"
#include "service/whole/exec_run.h"
#include "util/macro.h"

/* False: a service without a kernel side can be looked at, not changed. The request was told so. */
static bool may_change(const struct service *service, struct request *request)
{
	if (!service->plane)
		request_fail(request, REQUEST_FAILED, "%s cannot be changed: %s", service->name,
			     service->problem.text);
	return service->plane;
}

static void refuse(struct request *request, const struct problem *sentence)
{
	request_fail(request, REQUEST_REFUSED, "%s", sentence->text);
}

/* ---- looking ---- */

void call_connections(struct service *service, const struct connections_query *query,
		      struct request *request)
{
	struct connections_query asked = *query;
	json_object *outcome;

	asked.withheld = !request_may_see(request);
	if (!service->plane) {
		request_fail(request, REQUEST_FAILED,
			     "nothing is known of the connections of %s: %s", service->name,
			     service->problem.text);
		return;
	}
	outcome = connections_report(service->plane, service->n_slots, &asked);
	if (outcome)
		request_done(request, outcome);
	else
		request_fail(request, REQUEST_FAILED,
			     "the kernel did not list the connections of %s: %m", service->name);
}

/* ---- changes ---- */

/* Whoever stops the one instance before the other one runs has to have clients wait meanwhile. */
static bool may_stop_first(const struct service *service, struct request *request)
{
	if (!service->config.exclusive || host_has(service->host, HOST_PARKS))
		return true;
	request_fail(request, REQUEST_FAILED,
		     "%s: Exclusive=yes: to stop the one instance and start the other needs hsd; "
		     "start it: systemctl start hsd",
		     service->name);
	return false;
}

/* Under policy hash the active slot means nothing to clients. False: the request was told so. */
static bool has_active(const struct service *service, const char *what, struct request *request)
{
	if (!plane_is_spread(service->plane))
		return true;
	request_fail(request, REQUEST_REFUSED,
		     "%s: under policy hash all slots are at work, so there is no %s; hsctl drain "
		     "takes the clients of a slot away, hsctl upgrade goes slot by slot, and hsctl "
		     "policy %s standby has one slot serve all",
		     service->name, what, service->name);
	return false;
}

/* What is done to an instance is not done to a host. False: the request was told so. */
static bool is_of_instances(const struct service *service, const char *what, const char *instead,
			    struct request *request)
{
	if (!service_is_front(service))
		return true;
	request_fail(request, REQUEST_REFUSED, "%s: its slots are hosts, so there is no %s; %s",
		     service->name, what, instead);
	return false;
}

static void start_change(struct service *service, const struct change_order *order,
			 struct request *request)
{
	if (!may_change(service, request) || !may_stop_first(service, request))
		return;
	if (order->verb != VERB_FAILOVER && !has_active(service, "switching over", request))
		return;
	if (order->to < GATE_STANDBY || order->to >= HS_SLOTS_MAX)
		request_fail(request, REQUEST_REFUSED, "%s has no slot %d", service->name,
			     order->to);
	else
		change_hold_start(service, order, request);
}

void call_switchover(struct service *service, const struct switchover_call *call,
		     struct request *request)
{
	const struct config *config = &service->config;
	struct change_order order = {
		.verb = VERB_SWITCHOVER,
		.to = call->to,
		.settle_usec = call->settle_usec,
		.drain_usec = call->drain_usec,
		.then = call->then[0] ? switchover_then_from_string(call->then) : config->then,
	};

	if (order.settle_usec == USEC_INFINITY)
		order.settle_usec = config->settle_usec;
	/* of an exclusive service only when asked for: all that time nobody is served anew */
	if (order.drain_usec == USEC_INFINITY)
		order.drain_usec = config->exclusive ? 0 : config->drain_usec;
	if (order.then != THEN_KEEP && order.then != THEN_COUNT &&
	    !is_of_instances(service, "--then=stop or restart",
			     "what a host has goes on: leave that out, and Then= in the settings",
			     request))
		return;
	if (order.then == THEN_COUNT)
		request_fail(request, REQUEST_INVALID, "\"%s\" is not keep, stop or restart",
			     call->then);
	else if (order.settle_usec > CONFIG_SETTLE_MAX || order.drain_usec > CONFIG_DRAIN_MAX)
		request_fail(request, REQUEST_INVALID,
			     "settle may be 10 minutes at the most, drain 7 days");
	else
		start_change(service, &order, request);
}

static void refuse_late(const struct service *service, struct request *request)
{
	request_fail(request, REQUEST_REFUSED,
		     "%s: it is too late to undo the upgrade: the old instance is gone",
		     service->name);
}

static bool cancel_upgrade(struct service *service, struct request **recall)
{
	if (!rolling_run_is(service->runs[SERVICE_UPGRADE]))
		return upgrade_run_cancel(service, recall);
	rolling_run_cancel(service, recall);
	return true;
}

void call_rollback(struct service *service, struct request *request)
{
	struct change_order order = {
		.verb = VERB_ROLLBACK,
		.to = GATE_STANDBY,
		.settle_usec = service->config.settle_usec,
	};

	if (!service->runs[SERVICE_UPGRADE])
		start_change(service, &order, request);
	else if (!cancel_upgrade(service, &request))
		refuse_late(service, request);
}

void call_failover(struct service *service, int to, struct request *request)
{
	struct change_order order = {
		.verb = VERB_FAILOVER,
		.to = to,
		.settle_usec = service->config.settle_usec,
	};

	start_change(service, &order, request);
}

static bool has_sound_steps(const struct upgrade_order *order)
{
	for (unsigned i = 0; i < order->n_canary; i++)
		if (i == UPGRADE_CANARY_STEPS_MAX || order->canary[i] > WORD_SHARE_MAX)
			return false;
	return true;
}

/* False: the request was told so. */
static bool is_sound(const struct upgrade_order *order, struct request *request)
{
	if (MAX(order->hold_usec, order->probation_usec) > CONFIG_DRAIN_MAX ||
	    order->smoke_usec > CONFIG_DRAIN_MAX ||
	    (order->ready_usec > CONFIG_DRAIN_MAX && order->ready_usec != USEC_INFINITY))
		request_fail(request, REQUEST_INVALID, "a time is longer than 7d");
	else if (!has_sound_steps(order))
		request_fail(request, REQUEST_INVALID, "at most %u canary steps, each below 100%%",
			     UPGRADE_CANARY_STEPS_MAX);
	else if (order->smoke[0] && !request_is_root(request))
		request_fail(request, REQUEST_DENIED,
			     "a smoke test is a command that is run as root, so only root may name "
			     "one; leave it out, or run it with sudo");
	else
		return true;
	return false;
}

void call_upgrade(struct service *service, const struct upgrade_order *order,
		  struct request *request)
{
	if (!may_change(service, request) ||
	    !is_of_instances(service, "upgrade",
			     "upgrade the service on each of them: hsctl -H HOST upgrade", request))
		return;
	if (!is_sound(order, request))
		return;
	if (plane_is_spread(service->plane))
		rolling_run_start(service, order, request);
	else
		upgrade_run_start(service, order, request);
}

void call_cancel_upgrade(struct service *service, struct request *request)
{
	if (!service->runs[SERVICE_UPGRADE])
		request_fail(request, REQUEST_REFUSED, "%s: no upgrade is under way",
			     service->name);
	else if (cancel_upgrade(service, NULL))
		request_done(request, NULL);
	else
		refuse_late(service, request);
}

void call_drain(struct service *service, unsigned slot, uint64_t patience_usec,
		struct request *request)
{
	if (!may_change(service, request))
		return;
	if (patience_usec > CONFIG_DRAIN_MAX)
		request_fail(request, REQUEST_INVALID, "the deadline may be 7 days at the most");
	else
		drain_run_start(service, slot, patience_usec, request);
}

void call_cancel_drain(struct service *service, struct request *request)
{
	if (!service->runs[SERVICE_DRAIN])
		request_fail(request, REQUEST_REFUSED, "%s: no drain is under way", service->name);
	else if (drain_run_cancel(service))
		request_done(request, NULL);
	else
		request_fail(request, REQUEST_REFUSED,
			     "%s: the deadline has passed, what is left is being ended",
			     service->name);
}

/* ---- the word ---- */

void call_set_policy(struct service *service, const char *policy, struct request *request)
{
	enum hs_policy wanted = policy_from_string(policy);
	struct problem message = {0};
	struct journal_actor by;

	if (!may_change(service, request))
		return;
	if (wanted == HS_POLICY_COUNT) {
		request_fail(request, REQUEST_INVALID, "\"%s\" is not standby, parity or hash",
			     policy);
		return;
	}
	if (wanted == HS_POLICY_HASH) {
		call_set_hash(service, "", request);
		return;
	}
	request_actor(request, &by);
	if (!change_set_policy(service->plane, wanted, &by, &message)) {
		refuse(request, &message);
		return;
	}
	spread_settled(service, SETTLE_ALL);
	service_changed(service);
	request_done(request, change_word_json(service->plane, message.text));
}

/* -EINVAL, and a sentence. */
static int read_canary(const struct canary_call *call, struct canary_filter *ret_filter,
		       struct problem *ret_refusal)
{
	*ret_filter = (struct canary_filter) {0};
	if (call->share > WORD_SHARE_MAX || call->to < GATE_STANDBY || call->to >= HS_SLOTS_MAX)
		return problem_set(ret_refusal, -EINVAL,
				   "the share is 0 to 65535, the slot -1 to 15");
	if (canary_set_by(ret_filter, call->by) < 0)
		return problem_set(ret_refusal, -EINVAL, "\"%s\" is not connection or client",
				   call->by);
	return call->from[0] ? canary_add_list(ret_filter, call->from, ret_refusal) : 0;
}

struct canary_setting {
	struct service *service;
	struct request *request;
	int to;
	uint32_t share;
	struct canary_filter filter;
};

/* -EBUSY: another process is at it. */
static int set_canary(const struct canary_setting *setting, struct problem *ret_message)
{
	struct service *service = setting->service;
	enum slot_state states[HS_SLOTS_MAX];
	struct slot_health health[HS_SLOTS_MAX];
	struct journal_actor by;
	struct canary_request wanted = {
		.states = states,
		.n = service->n_slots,
		.health = service_health(service, health),
		.to = setting->to,
		.share = setting->share,
		.filter = &setting->filter,
		.by = &by,
	};
	enum gate_answer answer;

	if (service_busy(service) <= SERVICE_RESUMING) {
		gate_describe(GATE_BUSY, service->name, HS_SLOT_NONE, SLOT_DOWN, ret_message);
		return -EPERM;
	}
	request_actor(setting->request, &by);
	service_states(service, states);
	answer = change_set_canary(service->plane, &wanted, ret_message);
	return answer == GATE_OPEN ? 0 : answer == GATE_BUSY ? -EBUSY : -EPERM;
}

static int try_canary(void *userdata, enum later_try try)
{
	struct canary_setting *setting = userdata;
	struct service *service = setting->service;
	struct problem message = {0};
	int r = try == LATER_DROP ? 0 : set_canary(setting, &message);

	if (r == -EBUSY && try == LATER_TRY)
		return r;
	if (try == LATER_DROP) {
		request_free(setting->request);
	} else if (r < 0) {
		refuse(setting->request, &message);
	} else {
		service_changed(service);
		request_done(setting->request, change_word_json(service->plane, message.text));
	}
	free(setting);
	return 0;
}

void call_set_canary(struct service *service, const struct canary_call *call,
		     struct request *request)
{
	struct canary_setting *setting;
	struct canary_filter filter;
	struct problem refusal = {0};

	if (!may_change(service, request))
		return;
	if (read_canary(call, &filter, &refusal) < 0) {
		request_fail(request, REQUEST_INVALID, "%s", refusal.text);
		return;
	}
	setting = malloc(sizeof(*setting));
	if (!setting) {
		request_fail_errno(request, -ENOMEM);
		return;
	}
	*setting = (struct canary_setting) {service, request, call->to, call->share, filter};
	later_do(service, LATER_PATIENCE, try_canary, setting);
}

/* Of an exclusive change there is nobody here to carry it out where there are no parks. False:
 * refused. */
static bool let_go(const struct service *service, const struct journal_actor *by,
		   struct problem *ret_message)
{
	enum slot_state states[HS_SLOTS_MAX];

	if (host_has(service->host, HOST_PARKS) ||
	    !(hs_word_flags(plane_word(service->plane)) & HS_FLAG_EXCLUSIVE)) {
		parking_release(service->plane, by, ret_message);
		return true;
	}
	service_states(service, states);
	return parking_give_up(service->plane, states, service->n_slots, by, ret_message);
}

void call_hold(struct service *service, bool held, struct request *request)
{
	struct problem message = {0};
	struct journal_actor by;

	if (!may_change(service, request) ||
	    !is_of_instances(service, "park", "the park of a host holds its own clients", request))
		return;
	request_actor(request, &by);
	if (exclusive_run_blocks(service, &message) ||
	    (held ? !parking_hold(service->plane, &service->config, &by, &message)
		  : !let_go(service, &by, &message))) {
		refuse(request, &message);
		return;
	}
	if (!held)
		park_look(service->park);
	service_changed(service);
	request_done(request, parking_json(service->plane, message.text));
}

void call_exec(struct service *service, unsigned slot, struct request *request)
{
	struct problem refusal = {0};

	if (!may_change(service, request))
		return;
	if (!exec_may(service->plane, service->n_slots, slot, &refusal))
		refuse(request, &refusal);
	else
		exec_run_start(service, slot, request);
}
