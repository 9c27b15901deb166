// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/spread.h"

#include <string.h>
#include <syslog.h>

#include "service/change/change.h"
#include "service/change/replay.h"
#include "service/later.h"
#include "service/report/placement.h"
#include "service/slot/front_facts.h"
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
		if (!(can_take(states[slot]) || front_slot_is_kept(service, slot)) ||
		    !plane_slot_sockets(service->plane, slot) ||
		    plane_is_retired(service->plane, slot))
			continue;
		able |= 1U << slot;
		if (!health || health[slot].state != HEALTH_BAD)
			well |= 1U << slot;
	}
	return well ?: able;
}

/* ---- the table ---- */

/* Where there is no table, or another policy holds, nobody is anywhere by it. */
static bool read_before(const struct service *service, struct hs_table_copy *ret_before)
{
	ret_before->spread.members = 0;
	return !plane_is_spread(service->plane) || plane_table_read(service->plane, ret_before);
}

/* What exporters have to say to the slots that get them is said ahead, or else now. */
static int change_table(struct service *service, const struct table_change *change,
			struct table_outcome *ret_outcome, struct problem *problem)
{
	_cleanup_(freep) struct hs_table_copy *before =
		service->replay ? malloc(sizeof(*before)) : NULL;
	bool known = before && read_before(service, before);
	int r = plane_table_change(service->plane, change, ret_outcome, problem);

	if (known && r >= 0 && ret_outcome->changed)
		replay_behind(service, before);
	return r;
}

static bool plan_change(struct service *service, const struct table_change *change,
			struct hs_table_copy *before, struct hs_table_copy *next)
{
	return read_before(service, before) &&
	       plane_table_plan(service->plane, change, next, NULL) >= 0 &&
	       (!before->spread.members || spread_fingerprint(before) != spread_fingerprint(next));
}

/* ---- changes ---- */

struct wish {
	struct service *service;
	const struct spread_order *order;
};

/* The key of the settings, by which several machines agree; one of its own where they name none any
 * more, for others know the one before. */
static int take_key(const struct service *service, struct hs_spread *spread,
		    struct problem *problem)
{
	bool given = service->config.hash_key[0];
	uint64_t key;
	int r;

	if (!given && !spread->key_given)
		return 0;
	r = given ? hashkey_read(service->config.hash_key, &key, problem)
		  : plane_table_random_key(&key);
	if (r < 0)
		return given ? r : problem_set(problem, r, "there is no random key to be had");
	spread_set_key(spread, key);
	spread->key_given = given;
	return 0;
}

/* Of Host=. */
static void take_weights(const struct config_front *front, struct hs_spread *spread)
{
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (front->hosts[slot].given)
			spread->weights[slot] = (uint16_t)front->hosts[slot].weight;
}

static int edit(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	const struct wish *wish = userdata;
	const struct spread_order *order = wish->order;
	int r = 0;

	if (order->take_policy) {
		spread_set_by(spread, order->by ?: config_by(&wish->service->config));
		r = order->keep_key ? 0 : take_key(wish->service, spread, problem);
		/* later ones are said by hsctl weight */
		if (!spread->members || order->take_weights)
			take_weights(&wish->service->config.front, spread);
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

static struct table_change change_of(struct wish *wish)
{
	const struct service *service = wish->service;

	return (struct table_change) {
		.edit = edit,
		.userdata = wish,
		.in_service = spread_in_service(service),
		.take_policy = wish->order->take_policy,
		.by = wish->order->by ?: config_by(&service->config),
		.slots = service->config.slots,
	};
}

/* What core says does not know the service: the command that it names is made one to be typed. */
static int refuse_by_name(const struct service *service, const struct problem *why, int error,
			  struct problem *ret_refusal)
{
	static const char placeholder[] = "SERVICE";
	const char *place = strstr(why->text, placeholder);

	if (!place)
		return problem_set(ret_refusal, error, "%s: %.400s", service->name, why->text);
	return problem_set(ret_refusal, error, "%s: %.*s%s%.200s", service->name,
			   (int)MIN(place - why->text, (ptrdiff_t)300), why->text, service->name,
			   place + sizeof(placeholder) - 1);
}

void spread_settled(struct service *service, unsigned parts)
{
	service->unsettled.parts &= ~parts;
	if (service->unsettled.parts || !service->unsettled.problem.text[0])
		return;
	service->unsettled.problem.text[0] = '\0';
	service_changed(service);
}

int spread_change(struct service *service, const struct spread_order *order,
		  struct table_outcome *ret_outcome, struct problem *ret_refusal)
{
	struct wish wish = {service, order};
	struct table_change change = change_of(&wish);
	struct problem why = {0}, message;
	int r = check_policy(service, order, ret_refusal);

	if (r < 0)
		return r;
	r = change_table(service, &change, ret_outcome, &why);
	if (r < 0)
		return refuse_by_name(service, &why, r, ret_refusal);
	if (order->take_policy && !order->keep_key)
		spread_settled(service, SETTLE_POLICY | SETTLE_BY | SETTLE_KEY);
	if (!ret_outcome->changed)
		return 0;
	spread_describe(service, order->what, ret_outcome, &message);
	log_change(service, order, message.text);
	replay_follow(service);
	service_changed(service);
	return 0;
}

struct ahead {
	struct wish wish;
	spread_go_fn *go;
	void *userdata;
};

static bool plan_ahead(void *userdata, struct hs_table_copy *before, struct hs_table_copy *next)
{
	struct ahead *ahead = userdata;
	struct table_change change = change_of(&ahead->wish);

	return plan_change(ahead->wish.service, &change, before, next);
}

static void end_ahead(void *userdata, bool alive)
{
	_cleanup_(freep) struct ahead *ahead = userdata;

	ahead->go(ahead->userdata, alive);
}

bool spread_ahead(struct service *service, const struct spread_order *order, spread_go_fn *go,
		  void *userdata)
{
	struct ahead *ahead = service->replay ? malloc(sizeof(*ahead)) : NULL;
	struct replay_order sending = {.plan = plan_ahead, .go = end_ahead, .userdata = ahead};

	if (!ahead)
		return false;
	*ahead = (struct ahead) {{service, order}, go, userdata};
	if (replay_ahead(service, &sending))
		return true;
	free(ahead);
	return false;
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
	bool one;

	if (!plane_table_spread(service->plane, &spread))
		return;
	list_slots(spread.members, slots, sizeof(slots));
	one = !(spread.members & (spread.members - 1));
	journal_log(JOURNAL_POLICY, &scope,
		    "%s: slot%s %s %s the clients now, %.1f%% of them moved", service->name,
		    one ? "" : "s", slots, one ? "has all" : "share", moved * 100.0 / HS_BUCKETS);
}

/* Who takes part is not who could. */
static bool is_behind(const struct service *service, struct table_change *ret_change)
{
	struct hs_spread spread;

	*ret_change = (struct table_change) {0};
	if (!service->plane || !host_has(service->host, HOST_TENDS) || !service_is_known(service) ||
	    !plane_is_spread(service->plane))
		return false;
	/* without any there is nothing better than what there was */
	ret_change->in_service = spread_in_service(service);
	return ret_change->in_service && plane_table_spread(service->plane, &spread) &&
	       spread_members(&spread, ret_change->in_service) != spread.members;
}

/* When it is tried again it may be another change, or none. */
static int try_to_follow(void *userdata, enum later_try try)
{
	struct service *service = userdata;
	struct journal_scope scope = {service->name, -1, LOG_WARNING};
	struct table_outcome outcome = {0};
	struct problem problem = {0};
	struct table_change change;
	int r;

	if (try == LATER_DROP || !is_behind(service, &change))
		return 0;
	r = change_table(service, &change, &outcome, &problem);
	if (r == -EBUSY && try == LATER_TRY)
		return r;
	if (r < 0)
		journal_log(JOURNAL_PROBLEM, &scope, "%s: %s", service->name, problem.text);
	else if (outcome.changed)
		tell_members(service, outcome.moved);
	return 0;
}

static void follow_now(struct service *service)
{
	later_do(service, USEC_INFINITY, try_to_follow, service);
}

static bool plan_following(void *userdata, struct hs_table_copy *before, struct hs_table_copy *next)
{
	struct service *service = userdata;
	struct table_change change;

	return is_behind(service, &change) && plan_change(service, &change, before, next);
}

static void end_following(void *userdata, bool alive)
{
	struct service *service = userdata;

	service->spread_waits = false;
	if (alive)
		follow_now(service);
}

/* It goes on purpose, and serves what comes to it still. */
static bool is_leaving(const struct service *service, unsigned slot, enum slot_state state)
{
	return (state == SLOT_LEAVING || state == SLOT_STOPPING) &&
	       plane_slot_sockets(service->plane, slot);
}

/* Clients of a slot that is lost are with others already, and one that is unhealthy or hangs is to
 * be left at once. */
static bool can_wait(const struct service *service, const struct table_change *change)
{
	enum slot_state states[HS_SLOTS_MAX];
	struct hs_spread spread;
	uint32_t gone;

	if (!plane_table_spread(service->plane, &spread))
		return false;
	service_states(service, states);
	gone = spread.members & ~spread_members(&spread, change->in_service);
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (gone >> slot & 1 &&
		    (slot >= service->n_slots || !is_leaving(service, slot, states[slot])))
			return false;
	return true;
}

void spread_follow(struct service *service)
{
	const struct replay_order sending = {
		.plan = plan_following, .go = end_following, .userdata = service};
	struct table_change change;

	if (!is_behind(service, &change))
		return;
	if (can_wait(service, &change)) {
		if (!service->spread_waits)
			service->spread_waits = replay_ahead(service, &sending);
		if (service->spread_waits)
			return;
	}
	follow_now(service);
}

/* One that the table does not know yet is told ahead of the table that does. */
static bool has_clients(const struct service *service, unsigned slot)
{
	struct hs_spread spread;

	return service->plane && plane_is_spread(service->plane) &&
	       plane_table_spread(service->plane, &spread) && spread.members >> slot & 1;
}

void spread_heard(struct service *service, const struct event *event)
{
	replay_follow(service);
	if (event->kind == EVENT_ADOPTED && event->anew && has_clients(service, event->slot))
		replay_again(service, event->slot);
	spread_follow(service);
}

/* ---- holding ---- */

struct holding {
	struct service *service;
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

static struct table_change change_held(struct holding *holding)
{
	return (struct table_change) {.edit = set_held,
				      .userdata = holding,
				      .in_service = spread_in_service(holding->service)};
}

static int set_due(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	const struct service *service = userdata;

	(void)problem;
	spread->held = (spread->held & ~service->hold_due) | (service->hold_as & service->hold_due);
	return 0;
}

static int write_due(struct service *service, struct problem *problem)
{
	struct table_change change = {
		.edit = set_due, .userdata = service, .in_service = spread_in_service(service)};
	struct table_outcome outcome = {0};
	int r = change_table(service, &change, &outcome, problem);

	if (r != -EBUSY)
		service->hold_due = 0;
	if (r >= 0 && outcome.changed)
		service_changed(service);
	return r;
}

static void tell_refused(const struct service *service, const struct problem *problem)
{
	struct journal_scope scope = {service->name, -1, LOG_ERR};

	journal_log(JOURNAL_PROBLEM, &scope, "%s", problem->text);
}

static int try_to_hold(void *userdata, enum later_try try)
{
	struct service *service = userdata;
	struct problem problem = {0};
	int r;

	if (try == LATER_DROP || !service->hold_due)
		return 0;
	r = write_due(service, &problem);
	if (r < 0 && (r != -EBUSY || try == LATER_LAST))
		tell_refused(service, &problem);
	return r;
}

/* Of what is said of a slot while the table is locked the last counts. */
static int hold_now(struct holding *holding, struct problem *problem)
{
	struct service *service = holding->service;
	int r;

	service->hold_due |= holding->slot;
	service->hold_as &= ~holding->slot;
	if (holding->held)
		service->hold_as |= holding->slot;
	r = write_due(service, problem);
	if (r != -EBUSY || !host_has(service->host, HOST_TENDS)) {
		service->hold_due = 0;
		return r;
	}
	later_do(service, USEC_INFINITY, try_to_hold, service);
	return 0;
}

static bool plan_hold(void *userdata, struct hs_table_copy *before, struct hs_table_copy *next)
{
	struct holding *holding = userdata;
	struct table_change change = change_held(holding);

	return plan_change(holding->service, &change, before, next);
}

static void end_hold(void *userdata, bool alive)
{
	_cleanup_(freep) struct holding *holding = userdata;
	struct problem problem = {0};

	if (alive && hold_now(holding, &problem) < 0)
		tell_refused(holding->service, &problem);
}

int spread_hold(struct service *service, unsigned slot, bool held, struct problem *problem)
{
	struct holding holding = {service, 1U << slot, held};
	struct holding *kept = service->replay ? malloc(sizeof(*kept)) : NULL;
	struct replay_order sending = {.plan = plan_hold, .go = end_hold, .userdata = kept};

	if (kept) {
		*kept = holding;
		if (replay_ahead(service, &sending))
			return 0;
	}
	free(kept);
	return hold_now(&holding, problem);
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
	const char *more = plan->full ? " More would help, but there is room for no other bucket: "
					"these stay where they were moved to, until weights change."
				      : "";

	if (!plan->moved)
		problem_set(ret_message, 0, "%s: %s: the fullest slot gets %.2f times its share.%s",
			    service->name, plan->full ? "nothing can be moved" : "nothing to move",
			    plan->worst_before, more);
	else
		problem_set(ret_message, 0,
			    "%s: %u bucket%s %s: the fullest slot %s %.2f times its share instead "
			    "of %.2f.%s",
			    service->name, plan->moved, plan->moved == 1 ? "" : "s",
			    balancing->dry_run ? "would move"
			    : plan->moved == 1 ? "has moved"
					       : "have moved",
			    balancing->dry_run ? "would get" : "gets", plan->worst_after,
			    plan->worst_before, more);
}

/* What was counted led to what was done; what comes now is another matter. */
static void forget_hits(struct plane *plane)
{
	uint32_t *hits = plane_table_hits(plane);

	if (hits)
		memset(hits, 0, HS_BUCKETS * sizeof(*hits));
}

struct balancing_ahead {
	struct balancing balancing;
	struct spread_order order;
	spread_go_fn *go;
	void *userdata;
};

static void end_balancing(void *userdata, bool alive)
{
	_cleanup_(freep) struct balancing_ahead *ahead = userdata;

	ahead->go(ahead->userdata, alive);
}

bool spread_rebalance_ahead(struct service *service, spread_go_fn *go, void *userdata)
{
	struct balancing_ahead *ahead = malloc(sizeof(*ahead));

	if (!ahead)
		return false;
	*ahead = (struct balancing_ahead) {
		.balancing.plane = service->plane, .go = go, .userdata = userdata};
	ahead->order = (struct spread_order) {.edit = rebalance, .userdata = &ahead->balancing};
	if (spread_ahead(service, &ahead->order, end_balancing, ahead))
		return true;
	free(ahead);
	return false;
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
