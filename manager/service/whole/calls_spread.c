// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/whole/calls_spread.h"

#include "core/canary.h"
#include "service/change/change.h"
#include "service/change/spread.h"
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

static void change(struct service *service, struct spread_order *order, struct problem *what,
		   struct request *request)
{
	struct table_outcome outcome = {0};
	struct problem refusal = {0};

	order->what = what->text;
	request_actor(request, &order->actor);
	if (spread_change(service, order, &outcome, &refusal) < 0)
		refuse(request, &refusal);
	else
		answer(service, &outcome, what, request);
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

void call_set_hash(struct service *service, const char *by, struct request *request)
{
	struct table_outcome outcome = {0};
	struct problem what, refusal = {0};
	struct spread_order order = {
		.verb = "policy",
		.take_policy = true,
		.by = by[0] ? spread_by_from_string(by) : config_by(&service->config),
		.slot = -1,
	};

	if (!may_change(service, request))
		return;
	if (!order.by) {
		request_fail(request, REQUEST_INVALID, "\"%.40s\" is not client or connection", by);
		return;
	}
	problem_set(&what, 0, "the policy is hash now, by %s", spread_by_to_string(order.by));
	order.what = what.text;
	request_actor(request, &order.actor);
	if (spread_change(service, &order, &outcome, &refusal) < 0)
		refuse(request, &refusal);
	else
		answer_policy(service, &order, outcome.changed, request);
}

/* ---- weight ---- */

struct weighing {
	unsigned slot, percent;
};

static int weigh(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	const struct weighing *weighing = userdata;

	return spread_set_weight(spread, weighing->slot, weighing->percent, problem);
}

void call_set_weight(struct service *service, unsigned slot, unsigned percent,
		     struct request *request)
{
	struct weighing weighing = {slot, percent};
	struct spread_order order = {
		.verb = "weight", .edit = weigh, .userdata = &weighing, .slot = (int)slot};
	struct problem what;

	if (!may_change(service, request))
		return;
	if (percent > HS_WEIGHT_MAX || slot >= HS_SLOTS_MAX) {
		request_fail(request, REQUEST_INVALID, "a weight is 0%% to %u%%, a slot 0 to %u",
			     HS_WEIGHT_MAX, HS_SLOTS_MAX - 1);
		return;
	}
	problem_set(&what, 0, "slot %u has weight %u%%", slot, percent);
	change(service, &order, &what, request);
}

/* ---- pins ---- */

struct pinning {
	struct hs_prefix prefix;
	unsigned slot;
};

static int pin(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	const struct pinning *pinning = userdata;

	return spread_pin(spread, &pinning->prefix, pinning->slot, problem);
}

void call_set_pinned(struct service *service, const char *prefix, unsigned slot,
		     struct request *request)
{
	struct pinning pinning = {.slot = slot};
	struct spread_order order = {.verb = "pin",
				     .edit = pin,
				     .userdata = &pinning,
				     .slot = slot < HS_SLOTS_MAX ? (int)slot : -1};
	char text[PREFIX_TEXT_MAX];
	struct problem what;

	if (!may_change(service, request))
		return;
	if (prefix_parse(prefix, &pinning.prefix) < 0 ||
	    (slot >= HS_SLOTS_MAX && slot != HS_SLOT_NONE)) {
		request_fail(request, REQUEST_INVALID,
			     "\"%.60s\" is not a prefix of addresses, such as 10.1.0.0/16 or "
			     "2001:db8::/32, or %u is no slot",
			     prefix, slot);
		return;
	}
	prefix_format(&pinning.prefix, text);
	if (slot == HS_SLOT_NONE)
		problem_set(&what, 0, "%s is not pinned any more", text);
	else
		problem_set(&what, 0, "%s is pinned to slot %u", text, slot);
	change(service, &order, &what, request);
}

/* ---- how many ---- */

static int set_slots(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	return spread_set_slots(spread, *(const unsigned *)userdata, problem);
}

void call_set_slots(struct service *service, unsigned slots, struct request *request)
{
	struct spread_order order = {
		.verb = "scale", .edit = set_slots, .userdata = &slots, .slot = -1};
	struct problem what;

	if (!may_change(service, request))
		return;
	if (!slots || slots > service->config.slots) {
		request_fail(request, REQUEST_REFUSED,
			     "%s: it has %u slots by its settings (Slots=); between 1 and as many "
			     "can take part",
			     service->name, service->config.slots);
		return;
	}
	problem_set(&what, 0, "slots 0 to %u take part", slots - 1);
	change(service, &order, &what, request);
}

/* ---- rebalancing, and looking ---- */

void call_rebalance(struct service *service, bool dry_run, struct request *request)
{
	struct problem refusal = {0};
	struct journal_actor actor;
	json_object *outcome;

	if (!may_change(service, request))
		return;
	request_actor(request, &actor);
	if (spread_rebalance(service, dry_run, &actor, &outcome, &refusal) < 0)
		refuse(request, &refusal);
	else
		request_done(request, outcome);
}

void call_table(struct service *service, struct request *request)
{
	json_object *table;

	if (!may_change(service, request))
		return;
	table = plane_is_spread(service->plane) ? placement_json(service->plane, NULL) : NULL;
	if (table)
		request_done(request, table);
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
