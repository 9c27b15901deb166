// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/whole/calls_spread.h"

#include "core/canary.h"
#include "service/change/change.h"
#include "service/change/spread.h"
#include "service/later.h"
#include "service/report/placement.h"
#include "util/macro.h"

static bool may_change(const struct service *service, struct request *request)
{
	if (!service->plane)
		request_fail(request, REQUEST_FAILED, "%s cannot be changed: %s", service->name,
			     service->problem.text);
	return service->plane;
}

/* What has no sense is no refusal. */
static void refuse(struct request *request, const struct problem *sentence)
{
	request_fail(request, REQUEST_REFUSED, "%s", sentence->text);
}

static void answer(const struct service *service, const struct table_outcome *outcome,
		   struct problem *what, struct request *request)
{
	struct problem sentence, message;

	spread_describe(service, what->text, outcome, &sentence);
	problem_set(&message, 0, "%s.", sentence.text);
	request_done(request, placement_json(service->plane, message.text));
}

/* What stays where it is all the same. */
static const char *note_flows(const struct service *service)
{
	return plane_has_flows(service->plane) ? " UDP: " CONFIG_FLOW_STAYS "." : "";
}

static void answer_policy(const struct service *service, const struct spread_order *order,
			  bool changed, struct request *request)
{
	const char *by = spread_by_to_string(order->by);
	json_object *object;
	struct problem message;

	problem_set(&message, 0,
		    "%s: the policy is hash%s, by %s: all slots that are ready share the %ss.%s",
		    service->name, changed ? " now" : " already", by, by, note_flows(service));
	object = change_word_json(service->plane, message.text);
	json_object_object_add(object, "by", json_object_new_string(by));
	request_done(request, object);
}

/* ---- a change that may have to wait ---- */

struct weighing {
	unsigned slot, percent;
};

struct pinning {
	struct hs_prefix prefix;
	unsigned slot;
};

/* What is asked for, of which the order holds what it needs here. */
struct call {
	struct service *service;
	struct request *request;
	struct spread_order order;
	struct problem what;
	union {
		struct weighing weighing;
		struct pinning pinning;
		unsigned slots;
		bool dry_run; /* of a rebalance, whose order has no verb */
	} wanted;
};

static int carry_out(struct call *call, enum later_try try)
{
	struct table_outcome outcome = {0};
	struct problem refusal = {0};
	int r = spread_change(call->service, &call->order, &outcome, &refusal);

	if (r == -EBUSY && try == LATER_TRY)
		return r;
	if (r < 0)
		refuse(call->request, &refusal);
	else if (call->order.take_policy)
		answer_policy(call->service, &call->order, outcome.changed, call->request);
	else
		answer(call->service, &outcome, &call->what, call->request);
	return 0;
}

static int carry_out_rebalance(struct call *call, enum later_try try)
{
	struct problem refusal = {0};
	json_object *outcome;
	int r = spread_rebalance(call->service, call->wanted.dry_run, &call->order.actor, &outcome,
				 &refusal);

	if (r == -EBUSY && try == LATER_TRY)
		return r;
	if (r < 0)
		refuse(call->request, &refusal);
	else
		request_done(call->request, outcome);
	return 0;
}

static int try_call(void *userdata, enum later_try try)
{
	struct call *call = userdata;
	int r = 0;

	if (try == LATER_DROP)
		request_free(call->request);
	else
		r = call->order.verb ? carry_out(call, try) : carry_out_rebalance(call, try);
	if (r != -EBUSY)
		free(call);
	return r;
}

static void on_go(void *userdata, bool alive)
{
	struct call *call = userdata;

	if (alive)
		later_do(call->service, LATER_PATIENCE, try_call, call);
	else
		(void)try_call(call, LATER_DROP);
}

/* `wanted` is what the order's edit looks at. */
static void change(const struct call *wanted)
{
	struct call *call = malloc(sizeof(*call));

	if (!call) {
		request_fail_errno(wanted->request, -ENOMEM);
		return;
	}
	*call = *wanted;
	call->order.what = call->what.text;
	call->order.userdata = &call->wanted;
	request_actor(call->request, &call->order.actor);
	if (!spread_ahead(call->service, &call->order, on_go, call))
		on_go(call, true);
}

void call_set_hash(struct service *service, const char *by, struct request *request)
{
	struct call call = {.service = service, .request = request};

	call.order = (struct spread_order) {
		.verb = "policy",
		.take_policy = true,
		.by = by[0] ? spread_by_from_string(by) : config_by(&service->config),
		.slot = -1,
	};

	if (!may_change(service, request))
		return;
	if (!call.order.by) {
		request_fail(request, REQUEST_INVALID, "\"%.40s\" is not client or connection", by);
		return;
	}
	problem_set(&call.what, 0, "the policy is hash now, by %s",
		    spread_by_to_string(call.order.by));
	change(&call);
}

/* ---- weight ---- */

static int weigh(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	const struct weighing *weighing = userdata;

	return spread_set_weight(spread, weighing->slot, weighing->percent, problem);
}

void call_set_weight(struct service *service, unsigned slot, unsigned percent,
		     struct request *request)
{
	struct call call = {.service = service, .request = request};

	if (!may_change(service, request))
		return;
	if (percent > HS_WEIGHT_MAX || slot >= HS_SLOTS_MAX) {
		request_fail(request, REQUEST_INVALID, "a weight is 0%% to %u%%, a slot 0 to %u",
			     HS_WEIGHT_MAX, HS_SLOTS_MAX - 1);
		return;
	}
	call.order = (struct spread_order) {.verb = "weight", .edit = weigh, .slot = (int)slot};
	call.wanted.weighing = (struct weighing) {slot, percent};
	problem_set(&call.what, 0, "slot %u has weight %u%%", slot, percent);
	change(&call);
}

/* ---- pins ---- */

static int pin(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	const struct pinning *pinning = userdata;

	return spread_pin(spread, &pinning->prefix, pinning->slot, problem);
}

void call_set_pinned(struct service *service, const char *prefix, unsigned slot,
		     struct request *request)
{
	struct call call = {.service = service, .request = request};
	struct pinning *pinning = &call.wanted.pinning;
	char text[PREFIX_TEXT_MAX];

	if (!may_change(service, request))
		return;
	if (prefix_parse(prefix, &pinning->prefix) < 0 ||
	    (slot >= HS_SLOTS_MAX && slot != HS_SLOT_NONE)) {
		request_fail(request, REQUEST_INVALID,
			     "\"%.60s\" is not a prefix of addresses, such as 10.1.0.0/16 or "
			     "2001:db8::/32, or %u is no slot",
			     prefix, slot);
		return;
	}
	pinning->slot = slot;
	call.order = (struct spread_order) {
		.verb = "pin", .edit = pin, .slot = slot < HS_SLOTS_MAX ? (int)slot : -1};
	prefix_format(&pinning->prefix, text);
	if (slot == HS_SLOT_NONE)
		problem_set(&call.what, 0, "%s is not pinned any more", text);
	else
		problem_set(&call.what, 0, "%s is pinned to slot %u", text, slot);
	change(&call);
}

/* ---- how many ---- */

static int set_slots(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	return spread_set_slots(spread, *(const unsigned *)userdata, problem);
}

void call_set_slots(struct service *service, unsigned slots, struct request *request)
{
	struct call call = {.service = service, .request = request};

	if (!may_change(service, request))
		return;
	if (!slots || slots > service->config.slots) {
		request_fail(request, REQUEST_REFUSED,
			     "%s: it has %u slots by its settings (Slots=); between 1 and as many "
			     "can take part",
			     service->name, service->config.slots);
		return;
	}
	call.order = (struct spread_order) {.verb = "scale", .edit = set_slots, .slot = -1};
	call.wanted.slots = slots;
	problem_set(&call.what, 0, "slots 0 to %u take part", slots - 1);
	change(&call);
}

/* ---- rebalancing, and looking ---- */

void call_rebalance(struct service *service, bool dry_run, struct request *request)
{
	struct call *call;

	if (!may_change(service, request))
		return;
	call = calloc(1, sizeof(*call));
	if (!call) {
		request_fail_errno(request, -ENOMEM);
		return;
	}
	*call = (struct call) {.service = service, .request = request, .wanted.dry_run = dry_run};
	request_actor(request, &call->order.actor);
	if (dry_run || !spread_rebalance_ahead(service, on_go, call))
		on_go(call, true);
}

void call_table(struct service *service, struct request *request)
{
	struct problem strange = {0};
	json_object *table;

	if (!may_change(service, request))
		return;
	table = plane_is_spread(service->plane) ? placement_json(service->plane, NULL) : NULL;
	if (table)
		request_done(request, table);
	else if (plane_table_check(service->plane, &strange) < 0)
		request_fail(request, REQUEST_FAILED, "%s: %s", service->name, strange.text);
	else
		request_fail(request, REQUEST_REFUSED,
			     "%s: there is no table that clients are spread by; hsctl policy %s "
			     "hash --by=client makes one",
			     service->name, service->name);
}

void call_where(struct service *service, const char *client, struct request *request)
{
	struct problem refusal = {0};
	json_object *found;

	if (!may_change(service, request))
		return;
	if (placement_check_client(client, &refusal) < 0)
		request_fail(request, REQUEST_INVALID, "%s", refusal.text);
	else if (placement_where(service->plane, client, &found, &refusal) < 0)
		refuse(request, &refusal);
	else
		request_done(request, found);
}
