/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policy hash: all slots are at work, by a table (core/spread/spread.h) that says which clients are
 * whose. Whoever is not in service has no part in it: the kernel sends its clients to their second
 * slots at once, and the table follows; when it is back, so are its clients.
 */
#pragma once

#include "core/spread/rebalance.h"
#include "plane/parts/table.h"
#include "service/service.h"
#include "system/journal.h"

/* The slots that can take clients: ready, and not known to be unhealthy if any other is not; as a
 * bit mask. */
uint32_t spread_in_service(const struct service *service);

/* Everything that a slot may have come or gone by. */
void spread_heard(struct service *service, const struct event *event);
/* The same without an event. */
void spread_follow(struct service *service);

/* Of what the settings say; see struct unsettled, and service/whole/spread_settle.h. */
enum {
	SETTLE_FIRST = 1, /* all that holds from the first start on */
	SETTLE_POLICY = 2,
	SETTLE_BY = 4,
	SETTLE_KEY = 8,
	SETTLE_SLOTS = 16,
	SETTLE_WEIGHTS = 32,
	SETTLE_ALL = 63,
};
/* These parts hold, or somebody has said something else: they are not tried again. */
void spread_settled(struct service *service, unsigned parts);

/* What a verb wants: an edit of the table, and what is said of it. */
struct spread_order {
	const char *verb; /* for the history */
	const char *what; /* for people: "slot 2 has weight 50%" */
	table_edit *edit; /* NULL: none */
	void *userdata;
	bool take_weights; /* with take_policy: those of Host= */
	bool take_policy;  /* the policy is hash from then on, with the key of the settings */
	bool keep_key;	   /* but for that: as it is */
	enum hs_by by;	   /* with that: 0 = as the settings say */
	int slot;	   /* that it is about; -1 = none */
	struct journal_actor actor;
};

/* Carries it out. -errno and a sentence that begins with the service's name: nothing has changed.
 */
int spread_change(struct service *service, const struct spread_order *order,
		  struct table_outcome *ret_outcome, struct problem *ret_refusal);

/*
 * With Replay=templates: true, and go() will be called when the change may be made, within
 * REPLAY_USEC: those who move send their templates to their new slots before. False: it may be made
 * now. `alive` is false when the service is about to go. The order stays the caller's until then.
 */
typedef void spread_go_fn(void *userdata, bool alive);
bool spread_ahead(struct service *service, const struct spread_order *order, spread_go_fn *go,
		  void *userdata);

/* The slot gets no clients for now, though it may be ready; or does again: at once, or when
 * templates have been sent ahead. -errno, and a sentence (`problem` may be NULL). */
int spread_hold(struct service *service, unsigned slot, bool held, struct problem *problem);

/* What came of it, without a full stop. */
void spread_describe(const struct service *service, const char *what,
		     const struct table_outcome *outcome, struct problem *ret_message);

/* As spread_ahead(), before spread_rebalance(). */
bool spread_rebalance_ahead(struct service *service, spread_go_fn *go, void *userdata);
/* What moving heavy buckets would do, or does, by what buckets got since the last time. The caller
 * owns the answer. */
int spread_rebalance(struct service *service, bool dry_run, const struct journal_actor *actor,
		     json_object **ret_answer, struct problem *ret_refusal);
