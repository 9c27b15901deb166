// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/roles.h"

#include <string.h>
#include <syslog.h>

#include "plane/act/told.h"
#include "service/slot/instance.h"
#include "service/slot/telling.h"
#include "util/clock.h"
#include "util/macro.h"

/* How long connections that were queued at the flip may take to be accepted, and how often that is
 * looked at. */
#define QUEUE_TIME  (1 * USEC_PER_SEC)
#define QUEUE_EVERY (5 * USEC_PER_MSEC)
/* A flip that is no part of a change settles no longer than a retirement does. */
#define SETTLE_MAX (3 * USEC_PER_SEC)
/* How often it is looked whether another process that tells has ended. */
#define LOCK_EVERY (20 * USEC_PER_MSEC)

struct roles {
	struct service *service;
	struct role_told told; /* as it was read or written last */
	bool read;
	sd_event_source *timer;
	uint64_t queue_until; /* of waiting for the queue; 0 = it does not wait */
	struct telling *tellings[ROLE_CHANGES][HS_SLOTS_MAX];
};

enum haste { LOOK, SETTLED, HURRY };

static void consider(struct roles *roles, enum haste haste);

int roles_new(struct service *service, struct roles **ret_roles)
{
	struct roles *roles = calloc(1, sizeof(*roles));

	if (!roles)
		return -ENOMEM;
	roles->service = service;
	*ret_roles = roles;
	return 0;
}

struct roles *roles_free(struct roles *roles)
{
	if (!roles)
		return NULL;
	sd_event_source_disable_unref(roles->timer);
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++) {
		telling_free(roles->tellings[ROLE_DEMOTE][i]);
		telling_free(roles->tellings[ROLE_PROMOTE][i]);
	}
	free(roles);
	return NULL;
}

bool roles_telling(const struct roles *roles, unsigned slot)
{
	for (unsigned i = 0; roles && i < ROLE_CHANGES; i++)
		if (roles->tellings[i][slot] && !telling_is_sent(roles->tellings[i][slot]) &&
		    !telling_is_held(roles->tellings[i][slot]))
			return true;
	return false;
}

bool roles_rest(const struct roles *roles)
{
	if (!roles)
		return true;
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		for (unsigned role = 0; role < ROLE_CHANGES; role++)
			if (roles->tellings[role][i] &&
			    !telling_has_ended(roles->tellings[role][i]))
				return false;
	return !roles->timer;
}

/* ---- how things are ---- */

static const struct unit_facts *facts_of(const struct roles *roles, unsigned slot)
{
	return instance_facts(roles->service->instances[slot]);
}

/* A slot that Slots= does not reach any more has nobody. */
static void read_slot(const struct roles *roles, unsigned slot, struct role_slot *ret_slot)
{
	const struct unit_facts *facts;

	*ret_slot = (struct role_slot) {.slot = HS_SLOT_NONE};
	if (slot >= roles->service->n_slots)
		return;
	facts = facts_of(roles, slot);
	ret_slot->slot = slot;
	ret_slot->lives =
		unit_lives(facts) &&
		(!facts->main_pid || facts->main_pid != roles->service->instances[slot]->ended_pid);
	ret_slot->run = role_run(facts->invocation);
}

static bool is_known(const struct roles *roles, unsigned slot)
{
	return slot >= roles->service->n_slots || roles->service->instances[slot]->known;
}

static void read_now(const struct roles *roles, struct role_now *ret_now)
{
	const struct service *service = roles->service;
	unsigned active = hs_word_active(plane_word(service->plane));

	for (unsigned i = 0; i < ROLE_CHANGES; i++)
		ret_now->wanted[i] = service->config.roles[i].means != ROLE_UNTOLD;
	read_slot(roles, active, &ret_now->active);
	read_slot(roles, roles->told.known ? roles->told.slot : HS_SLOT_NONE, &ret_now->before);
	/* until systemd has been asked about them nobody is told */
	if (!is_known(roles, ret_now->active.slot) || !is_known(roles, ret_now->before.slot))
		ret_now->active.slot = HS_SLOT_NONE;
}

/* What of it costs a system call. */
static bool has_sockets(const struct roles *roles, unsigned slot)
{
	return slot < HS_SLOTS_MAX && plane_slot_sockets(roles->service->plane, slot);
}

static bool has_queue(const struct roles *roles, unsigned slot)
{
	uint32_t queued[HS_PLACES_MAX];

	if (slot >= HS_SLOTS_MAX)
		return false;
	/* what is not known is not empty */
	(void)plane_queued(roles->service->plane, queued);
	return queued[slot];
}

/* ---- telling ---- */

static void tell(struct roles *roles, enum role_change role, const struct role_order *order)
{
	const struct service *service = roles->service;
	unsigned slot = order->slots[role], other = order->slots[!role];
	struct telling_order telling = {
		.service = service->name,
		.role = role,
		.slot = slot,
		.other = role == ROLE_DEMOTE	? (int)order->told.slot
			 : other < HS_SLOTS_MAX ? (int)other
						: -1,
		.action = &service->config.roles[role],
		.uid = JOURNAL_UID_NONE,
	};
	struct telling **place, **opposite;

	if (slot >= service->n_slots)
		return;
	telling.main_pid = facts_of(roles, slot)->main_pid;
	place = &roles->tellings[role][slot];
	opposite = &roles->tellings[!role][slot];
	/* what it has not heard yet is not true any more */
	if (*opposite && !telling_is_sent(*opposite))
		*opposite = telling_free(*opposite);
	*place = telling_free(*place);
	telling_new(service->host->bus, &telling, place);
}

static void tell_problem(const struct roles *roles, int error)
{
	struct journal_scope scope = {roles->service->name, -1, LOG_WARNING};

	journal_log(JOURNAL_PROBLEM, &scope,
		    "%s: who was told that it is active cannot be kept in the kernel: %s; the next "
		    "hsd may tell it again",
		    roles->service->name, strerror(-error));
}

/* Sent first, written then: should hsd end in between, the next one tells it once more, which is
 * better than never. */
static int carry_out(struct roles *roles)
{
	_cleanup_(close_fdp) int lock = -1;
	struct role_order order;
	struct role_now now;
	int r = told_lock(roles->service->plane, &lock);

	if (r == -EBUSY)
		return r;
	/* another process may have told it since; what cannot be read is as we know it */
	if (r >= 0)
		r = told_read(roles->service->plane, &roles->told);
	read_now(roles, &now);
	role_decide(&roles->told, &now, &order);
	if (!order.record)
		return 0;
	for (unsigned i = 0; i < ROLE_CHANGES; i++)
		tell(roles, i, &order);
	roles->told = order.told;
	if (r >= 0)
		r = told_write(roles->service->plane, &order.told);
	if (r < 0)
		tell_problem(roles, r);
	return 0;
}

/* ---- when ---- */

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct roles *roles = userdata;

	(void)usec;
	sd_event_source_disable_unref(source);
	roles->timer = NULL;
	consider(roles, SETTLED);
	return 0;
}

static void cancel(struct roles *roles)
{
	roles->timer = sd_event_source_disable_unref(roles->timer);
	roles->queue_until = 0;
}

/* False: there can be no timer, so it is to be done now. */
static bool wait_for(struct roles *roles, uint64_t usec)
{
	return roles->timer ||
	       sd_event_add_time_relative(roles->service->host->event, &roles->timer,
					  CLOCK_MONOTONIC, usec, 1, on_timer, roles) >= 0;
}

/* Whether the slot that gives its role up keeps it for a moment. */
static bool is_to_wait(struct roles *roles, enum haste haste)
{
	uint64_t now = now_usec();

	/* it tells when it has settled */
	if (haste != HURRY && roles->service->settles)
		return true;
	/* a retirement that settles for as long is to be the first to see it */
	if (haste == LOOK)
		return wait_for(roles, MIN(roles->service->config.settle_usec, SETTLE_MAX) +
					       USEC_PER_MSEC);
	if (haste == HURRY || !has_queue(roles, roles->told.slot))
		return false;
	if (!roles->queue_until)
		roles->queue_until = now + QUEUE_TIME;
	return now < roles->queue_until && wait_for(roles, QUEUE_EVERY);
}

static void consider(struct roles *roles, enum haste haste)
{
	struct role_order order;
	struct role_now now;

	read_now(roles, &now);
	role_decide(&roles->told, &now, &order);
	if (!order.record || !has_sockets(roles, now.active.slot)) {
		cancel(roles);
		return;
	}
	if (order.departs && is_to_wait(roles, haste))
		return;
	cancel(roles);
	if (carry_out(roles) == -EBUSY)
		wait_for(roles, LOCK_EVERY);
}

static bool is_wanted(struct roles *roles)
{
	const struct service *service;

	if (!roles || !roles->service->plane)
		return false;
	service = roles->service;
	if (service->config.roles[ROLE_DEMOTE].means == ROLE_UNTOLD &&
	    service->config.roles[ROLE_PROMOTE].means == ROLE_UNTOLD)
		return false;
	if (!roles->read)
		roles->read = told_read(service->plane, &roles->told) >= 0;
	return true;
}

void roles_look(struct roles *roles)
{
	if (is_wanted(roles))
		consider(roles, LOOK);
}

void roles_settled(struct roles *roles)
{
	if (is_wanted(roles))
		consider(roles, SETTLED);
}

void roles_hurry(struct roles *roles)
{
	if (is_wanted(roles))
		consider(roles, HURRY);
}
