// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/whole/spread_settle.h"

#include <string.h>
#include <syslog.h>

#include "core/canary.h"
#include "plane/plane_front.h"
#include "service/change/change.h"
#include "service/change/spread.h"
#include "service/later.h"
#include "service/slot/front_facts.h"
#include "system/hashkey.h"
#include "util/macro.h"

/* ---- one by one ---- */

static int take_slots(struct hs_spread *spread, void *userdata, struct problem *problem)
{
	return spread_set_slots(spread, *(const unsigned *)userdata, problem);
}

/* Policy= */
static int settle_policy(struct service *service, struct problem *ret_refusal)
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

	if (policy == HS_POLICY_HASH)
		return spread_change(service, &order, &outcome, ret_refusal);
	return change_set_policy(service->plane, policy, NULL, ret_refusal) ? 0 : -EINVAL;
}

/* By= where that has changed, else what somebody may have said since. */
static enum hs_by by_of(const struct service *service, unsigned parts)
{
	struct hs_spread spread;

	if (parts & SETTLE_BY || !plane_table_spread(service->plane, &spread))
		return config_by(&service->config);
	return spread.by;
}

/* By=, HashKey=, Slots= and the weights of Host= of a service that is spread already. A key that is
 * refused is no reason against the others. `ret_parts`: those of them that do not hold. */
static int settle_table(struct service *service, unsigned parts, unsigned *ret_parts,
			struct problem *ret_refusal)
{
	unsigned slots = service->config.slots;
	struct spread_order order = {
		.verb = "policy",
		.what = "By=, HashKey=, Slots= or Host= have changed",
		.edit = parts & SETTLE_SLOTS ? take_slots : NULL,
		.userdata = &slots,
		.take_weights = parts & SETTLE_WEIGHTS,
		.take_policy = parts & (SETTLE_BY | SETTLE_KEY | SETTLE_WEIGHTS),
		.by = by_of(service, parts),
		.slot = -1,
		.actor = JOURNAL_NOBODY,
	};
	struct problem refusal = {0};
	struct table_outcome outcome;
	int r = parts ? spread_change(service, &order, &outcome, ret_refusal) : 0;

	*ret_parts = r < 0 ? parts : 0;
	if (r >= 0 || r == -EBUSY || !order.take_policy || parts == SETTLE_KEY)
		return r;
	order.keep_key = true;
	r = spread_change(service, &order, &outcome, &refusal);
	if (r >= 0)
		*ret_parts = SETTLE_KEY;
	else
		*ret_refusal = refusal;
	return r;
}

/* ---- which of them ---- */

static bool same_weights(const struct config_front *a, const struct config_front *b)
{
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (a->hosts[slot].weight != b->hosts[slot].weight)
			return false;
	return true;
}

/* What has changed, and what was refused before. */
static unsigned changed_parts(const struct service *service, const struct config *before)
{
	const struct config *config = &service->config;
	unsigned parts = service->unsettled.parts;

	if (!before)
		return parts | SETTLE_FIRST;
	if (config->policy != before->policy)
		parts |= SETTLE_POLICY;
	if (config->by != before->by)
		parts |= SETTLE_BY;
	if (strcmp(config->hash_key, before->hash_key) != 0)
		parts |= SETTLE_KEY;
	if (config->slots != before->slots)
		parts |= SETTLE_SLOTS;
	if (!same_weights(&config->front, &before->front))
		parts |= SETTLE_WEIGHTS;
	return parts;
}

/* Also where the file has got another key meanwhile. */
static bool lacks_key(const struct service *service)
{
	const char *path = service->config.hash_key;
	struct hs_spread spread;
	uint64_t key;

	if (!path[0] || !plane_table_spread(service->plane, &spread))
		return false;
	return hashkey_read(path, &key, NULL) < 0 || !spread.key_given || spread.key != key;
}

/* A table that nobody took part in was made, and not what it was made for. */
static bool was_never_spread(const struct service *service)
{
	struct hs_spread spread;

	return hs_word_policy(plane_word(service->plane)) != HS_POLICY_HASH &&
	       (!plane_table_spread(service->plane, &spread) || !spread.members);
}

/* What somebody has said of it since holds over a start of hsd; but what was refused by the one
 * before was nobody's word. */
static unsigned first_parts(const struct service *service)
{
	unsigned parts = lacks_key(service) ? SETTLE_KEY : 0;

	if (hs_word_active(plane_word(service->plane)) >= HS_SLOTS_MAX ||
	    (config_policy(&service->config) == HS_POLICY_HASH && was_never_spread(service)))
		parts |= SETTLE_POLICY;
	return parts;
}

/* Hosts have weights only when they are there. */
static bool is_there(const struct service *service)
{
	return service->plane && (!service_is_front(service) || plane_is_front(service->plane));
}

static unsigned parts_now(const struct service *service, unsigned parts)
{
	if (parts & SETTLE_FIRST)
		parts = (parts & ~SETTLE_FIRST) | first_parts(service);
	if (service->config.policy == CONFIG_POLICY_KEEP)
		parts &= ~SETTLE_POLICY;
	/* then it is not the policy that changes */
	if (parts & SETTLE_POLICY && config_policy(&service->config) == HS_POLICY_HASH &&
	    plane_is_spread(service->plane))
		parts = (parts & ~SETTLE_POLICY) | SETTLE_BY | SETTLE_KEY;
	return parts;
}

/* ---- hosts that go ---- */

static bool is_going(const struct service *service, unsigned slot)
{
	struct front_host_view view;

	return front_host(plane_front(service->plane), slot, &view) &&
	       !service->config.front.hosts[slot].given;
}

int spread_check_hosts(const struct service *service, struct problem *problem)
{
	char text[PREFIX_TEXT_MAX];
	struct hs_spread spread;

	if (!plane_is_front(service->plane) || !plane_is_spread(service->plane) ||
	    !plane_table_spread(service->plane, &spread))
		return 0;
	for (unsigned i = 0; i < spread.n_pinned; i++) {
		const struct hs_pinned *pinned = &spread.pinned[i];
		struct hs_prefix prefix = {.length = pinned->length};

		if (!is_going(service, pinned->slot))
			continue;
		memcpy(prefix.ip, pinned->ip, sizeof(prefix.ip));
		prefix_format(&prefix, text);
		return problem_set(problem, -EINVAL,
				   "%s is pinned to slot %u, whose host the settings do not name "
				   "any more; unpin it first: hsctl pin %s %s none",
				   text, pinned->slot, service->name, text);
	}
	return 0;
}

/* ---- all of it ---- */

static void keep_refusal(struct service *service, unsigned parts, const struct problem *refusal)
{
	struct journal_scope scope = {service->name, -1, LOG_ERR};
	struct unsettled *unsettled = &service->unsettled;
	const char *text = refusal->text;
	size_t name = strlen(service->name);
	struct problem problem = {0};

	if (!strncmp(text, service->name, name) && !strncmp(text + name, ": ", 2))
		text += name + 2;
	if (parts)
		problem_set(&problem, 0, "%.400s; then run: systemctl reload hsd", text);
	unsettled->parts = parts;
	if (!strcmp(problem.text, unsettled->problem.text))
		return;
	if (parts)
		journal_log(JOURNAL_PROBLEM, &scope, "%s: %s", service->name, problem.text);
	unsettled->problem = problem;
	service_changed(service);
}

static int settle_parts(struct service *service, unsigned parts, unsigned *ret_parts,
			struct problem *ret_refusal)
{
	int r = parts & SETTLE_POLICY ? settle_policy(service, ret_refusal) : 0;

	*ret_parts = r < 0 ? parts : 0;
	if (r < 0 || !plane_is_spread(service->plane))
		return r;
	return settle_table(service, parts & ~SETTLE_POLICY, ret_parts, ret_refusal);
}

/* What somebody has said while it was waited for is not among the parts any more. */
static int try_to_settle(void *userdata, enum later_try try)
{
	struct service *service = userdata;
	struct unsettled *unsettled = &service->unsettled;
	struct problem refusal = {0};
	unsigned rest;
	int r;

	if (try == LATER_DROP || !is_there(service))
		return 0;
	unsettled->parts = parts_now(service, unsettled->parts);
	r = settle_parts(service, unsettled->parts, &rest, &refusal);
	if (r == -EBUSY && try == LATER_TRY) {
		/* the policy holds before the table does */
		unsettled->parts = rest;
		return r;
	}
	keep_refusal(service, rest, &refusal);
	return 0;
}

void spread_settle(struct service *service, const struct config *before)
{
	if (!host_has(service->host, HOST_TENDS))
		return;
	service->unsettled.parts = changed_parts(service, before);
	later_do(service, USEC_INFINITY, try_to_settle, service);
}
