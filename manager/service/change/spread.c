// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/spread.h"

#include <string.h>
#include <syslog.h>

#include "service/change/change.h"
#include "service/report/placement.h"
#include "service/slot/states.h"
#include "system/hashkey.h"
#include "util/macro.h"

/* ---- who takes part ---- */

static bool can_take(enum slot_state state)
{
	/* systemd may not answer, and is no reason to leave those who serve */
	return state == SLOT_READY || state == SLOT_UNKNOWN;
}

uint32_t spread_in_service(const struct service *service)
{
	struct slot_health buffer[HS_SLOTS_MAX];
	const struct slot_health *health = service_health(service, buffer);
	enum slot_state states[HS_SLOTS_MAX];
	uint32_t able = 0, well = 0;

	service_states(service, states);
	for (unsigned slot = 0; slot < service->n_slots; slot++) {
		if (!can_take(states[slot]) || !plane_slot_sockets(service->plane, slot) ||
		    plane_is_retired(service->plane, slot))
			continue;
		able |= 1U << slot;
		if (!health || health[slot].state != HEALTH_BAD)
			well |= 1U << slot;
	}
	return well ?: able;
}

/* ---- changes ---- */

struct wish {
	struct service *service;
	const struct spread_order *order;
};

/* The key of the settings, by which several machines agree. */
static int take_key(const struct service *service, struct hs_spread *spread,
		    struct problem *problem)
{
	uint64_t key;
	int r;

	if (!service->config.hash_key[0])
		return 0;
	r = hashkey_read(service->config.hash_key, &key, problem);
	if (r < 0)
		return r;
	spread->key = key;
	spread->key_given = 1;
	return 0;
}

static int edit(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	const struct wish *wish = userdata;
	const struct spread_order *order = wish->order;
	int r = 0;

	if (order->take_policy) {
		spread->by = order->by ?: config_by(&wish->service->config);
		r = take_key(wish->service, spread, problem);
	}
	if (!r && order->edit)
		r = order->edit(spread, order->userdata, problem);
	return r;
}

/* Of what the table is about, under another policy. */
static int check_policy(const struct service *service, const struct spread_order *order,
			struct problem *ret_refusal)
{
	uint64_t word = plane_word(service->plane);

	if (order->take_policy)
		return change_refuses_paths(service->plane, "policy but standby", ret_refusal)
			       ? -EINVAL
			       : 0;
	if (hs_word_policy(word) == HS_POLICY_HASH)
		return 0;
	return problem_set(ret_refusal, -EINVAL,
			   "%s: the policy is %s, and only under policy hash are clients spread by "
			   "a table; hsctl policy %s hash --by=client",
			   service->name, policy_to_string(hs_word_policy(word)), service->name);
}

static void log_change(const struct service *service, const struct spread_order *order,
		       const char *message)
{
	struct journal_scope scope = {service->name, order->slot, LOG_NOTICE};
	struct journal_deed deed = {
		.verb = order->verb,
		.outcome = "done",
		.from = -1,
		.to = order->slot,
		.by = order->actor,
	};

	journal_log_deed(JOURNAL_POLICY, &scope, &deed, "%s", message);
}

void spread_describe(const struct service *service, const char *what,
		     const struct table_outcome *outcome, struct problem *ret_message)
{
	if (!outcome->changed)
		problem_set(ret_message, 0, "%s: %.200s, as it was", service->name, what);
	else if (outcome->moved)
		problem_set(ret_message, 0, "%s: %.200s; %.1f%% of the clients have moved",
			    service->name, what, outcome->moved * 100.0 / HS_BUCKETS);
	else
		problem_set(ret_message, 0, "%s: %.200s", service->name, what);
}

int spread_change(struct service *service, const struct spread_order *order,
		  struct table_outcome *ret_outcome, struct problem *ret_refusal)
{
	struct wish wish = {service, order};
	struct table_change change = {
		.edit = edit,
		.userdata = &wish,
		.in_service = spread_in_service(service),
		.take_policy = order->take_policy,
		.by = order->by ?: config_by(&service->config),
		.slots = service->config.slots,
	};
	struct problem why = {0}, message;
	int r = check_policy(service, order, ret_refusal);

	if (r < 0)
		return r;
	r = plane_table_change(service->plane, &change, ret_outcome, &why);
	if (r < 0)
		return problem_set(ret_refusal, r, "%s: %.400s", service->name, why.text);
	if (!ret_outcome->changed)
		return 0;
	spread_describe(service, order->what, ret_outcome, &message);
	log_change(service, order, message.text);
	service_changed(service);
	return 0;
}

/* ---- following ---- */

static void list_slots(uint32_t slots, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (unsigned slot = 0; slot < HS_SLOTS_MAX && n < size; slot++)
		if (slots >> slot & 1)
			n += (size_t)snprintf(text + n, size - n, "%s%u", n ? ", " : "", slot);
}

static void tell_members(const struct service *service, uint32_t moved)
{
	struct journal_scope scope = {service->name, -1, LOG_NOTICE};
	struct hs_spread spread;
	char slots[64];

	if (!plane_table_spread(service->plane, &spread))
		return;
	list_slots(spread.members, slots, sizeof(slots));
	journal_log(JOURNAL_POLICY, &scope,
		    "%s: slots %s share the clients now, %.1f%% of them moved", service->name,
		    slots, moved * 100.0 / HS_BUCKETS);
}

void spread_follow(struct service *service)
{
	struct journal_scope scope = {service->name, -1, LOG_WARNING};
	struct table_change change = {0};
	struct table_outcome outcome = {0};
	struct problem problem = {0};
	struct hs_spread spread;

	if (!service->plane || !host_has(service->host, HOST_TENDS) || !service_is_known(service) ||
	    !plane_is_spread(service->plane))
		return;
	/* without any there is nothing better than what there was */
	change.in_service = spread_in_service(service);
	if (!change.in_service || !plane_table_spread(service->plane, &spread) ||
	    spread_members(&spread, change.in_service) == spread.members)
		return;
	if (plane_table_change(service->plane, &change, &outcome, &problem) < 0)
		journal_log(JOURNAL_PROBLEM, &scope, "%s: %s", service->name, problem.text);
	else if (outcome.changed)
		tell_members(service, outcome.moved);
}

void spread_heard(struct service *service, const struct event *event)
{
	(void)event;
	spread_follow(service);
}

/* ---- settings ---- */

static int take_slots(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	return spread_set_slots(spread, *(const unsigned *)userdata, problem);
}

static void tell_unsettled(const struct service *service, const struct problem *problem)
{
	struct journal_scope scope = {service->name, -1, LOG_ERR};

	journal_log(JOURNAL_PROBLEM, &scope, "%s", problem->text);
}

static bool is_new(const struct service *service)
{
	return hs_word_active(plane_word(service->plane)) >= HS_SLOTS_MAX;
}

/* Policy= */
static void settle_policy(struct service *service)
{
	enum hs_policy policy = config_policy(&service->config);
	struct spread_order order = {
		.verb = "policy",
		.what = "the policy is hash, as Policy= says",
		.take_policy = true,
		.slot = -1,
		.actor = JOURNAL_NOBODY,
	};
	struct table_outcome outcome;
	struct problem problem = {0};

	if (policy == HS_POLICY_HASH ? spread_change(service, &order, &outcome, &problem) < 0
				     : !change_set_policy(service->plane, policy, NULL, &problem))
		tell_unsettled(service, &problem);
}

/* By=, HashKey= and Slots= of a service that is spread already. */
static void settle_table(struct service *service, const struct config *before)
{
	const struct config *config = &service->config;
	unsigned slots = config->slots;
	struct spread_order order = {
		.verb = "policy",
		.what = "By=, HashKey= or Slots= have changed",
		.edit = slots != before->slots ? take_slots : NULL,
		.userdata = &slots,
		.take_policy =
			config->by != before->by || strcmp(config->hash_key, before->hash_key) != 0,
		.slot = -1,
		.actor = JOURNAL_NOBODY,
	};
	struct table_outcome outcome;
	struct problem problem = {0};

	if ((order.edit || order.take_policy) &&
	    spread_change(service, &order, &outcome, &problem) < 0)
		tell_unsettled(service, &problem);
}

void spread_settle(struct service *service, const struct config *before)
{
	bool says = service->config.policy != CONFIG_POLICY_KEEP;

	if (!service->plane || !host_has(service->host, HOST_TENDS))
		return;
	if (says && (before ? before->policy != service->config.policy : is_new(service)))
		settle_policy(service);
	else if (before && plane_is_spread(service->plane))
		settle_table(service, before);
}

/* ---- holding ---- */

struct holding {
	uint32_t slot;
	bool held;
};

static int set_held(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	const struct holding *holding = userdata;

	(void)problem;
	spread->held &= ~holding->slot;
	if (holding->held)
		spread->held |= holding->slot;
	return 0;
}

int spread_hold(struct service *service, unsigned slot, bool held, struct problem *problem)
{
	struct holding holding = {1U << slot, held};
	struct table_change change = {
		.edit = set_held, .userdata = &holding, .in_service = spread_in_service(service)};
	struct table_outcome outcome = {0};
	int r = plane_table_change(service->plane, &change, &outcome, problem);

	if (r >= 0 && outcome.changed)
		service_changed(service);
	return r;
}

/* ---- rebalancing ---- */

struct balancing {
	struct plane *plane;
	struct rebalance plan;
	bool dry_run;
};

static int rebalance(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	struct balancing *balancing = userdata;
	const uint32_t *hits = plane_table_hits(balancing->plane);
	struct hs_spread planned = *spread;
	_cleanup_(freep) uint8_t *buckets = malloc(HS_BUCKETS);

	if (!buckets)
		return problem_set(problem, -ENOMEM, "there is no memory for it");
	if (spread->by != HS_BY_CLIENT)
		return problem_set(
			problem, -EINVAL,
			"it is spread by connection, and single connections are light; "
			"only clients can be heavy: hsctl policy SERVICE hash --by=client");
	spread_fill(&planned, planned.members, buckets);
	rebalance_plan(&planned, planned.members, buckets, hits, &balancing->plan);
	if (!balancing->plan.total)
		return problem_set(problem, -EINVAL,
				   "no traffic was counted since the last time, so nothing can be "
				   "said; try again when some has come");
	if (!balancing->dry_run)
		*spread = planned;
	return 0;
}

static void describe(const struct service *service, const struct balancing *balancing,
		     struct problem *ret_message)
{
	const struct rebalance *plan = &balancing->plan;

	if (!plan->moved)
		problem_set(ret_message, 0,
			    "%s: nothing to move: the fullest slot gets %.2f times its share.",
			    service->name, plan->worst_before);
	else
		problem_set(ret_message, 0,
			    "%s: %u bucket%s %s: the fullest slot %s %.2f times its share instead "
			    "of %.2f.",
			    service->name, plan->moved, plan->moved == 1 ? "" : "s",
			    balancing->dry_run ? "would move"
			    : plan->moved == 1 ? "has moved"
					       : "have moved",
			    balancing->dry_run ? "would get" : "gets", plan->worst_after,
			    plan->worst_before);
}

/* What was counted led to what was done; what comes now is another matter. */
static void forget_hits(struct plane *plane)
{
	uint32_t *hits = plane_table_hits(plane);

	if (hits)
		memset(hits, 0, HS_BUCKETS * sizeof(*hits));
}

int spread_rebalance(struct service *service, bool dry_run, const struct journal_actor *actor,
		     json_object **ret_answer, struct problem *ret_refusal)
{
	struct balancing balancing = {.plane = service->plane, .dry_run = dry_run};
	struct spread_order order = {
		.verb = "rebalance",
		.what = "heavy clients were given to other slots",
		.edit = rebalance,
		.userdata = &balancing,
		.slot = -1,
		.actor = *actor,
	};
	struct table_outcome outcome;
	struct problem message;
	int r = spread_change(service, &order, &outcome, ret_refusal);

	if (r < 0)
		return r;
	if (!dry_run)
		forget_hits(service->plane);
	describe(service, &balancing, &message);
	*ret_answer = placement_rebalance(service->plane, &balancing.plan, dry_run, message.text);
	return 0;
}
