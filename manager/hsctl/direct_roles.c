// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/direct_roles.h"

#include <string.h>

#include "plane/act/told.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* A slot as it is, and the main process of its unit. */
static void read_slot(const struct direct *direct, unsigned slot, struct role_slot *ret_slot,
		      pid_t *ret_main)
{
	_cleanup_(unit_facts_done) struct unit_facts facts = {0};

	*ret_slot = (struct role_slot) {.slot = HS_SLOT_NONE};
	*ret_main = 0;
	if (slot >= direct->config.slots)
		return;
	direct_unit(direct, slot, &facts);
	ret_slot->slot = slot;
	ret_slot->lives = unit_lives(&facts);
	ret_slot->run = role_run(facts.invocation);
	*ret_main = facts.main_pid;
}

static void tell(const struct direct *direct, const struct role_order *order,
		 const pid_t mains[ROLE_CHANGES], struct direct_roles *roles)
{
	for (unsigned i = 0; i < ROLE_CHANGES; i++) {
		unsigned other = i == ROLE_DEMOTE ? order->told.slot : order->slots[ROLE_DEMOTE];
		struct telling_order telling = {
			.service = direct->service,
			.role = i,
			.slot = order->slots[i],
			.other = other < HS_SLOTS_MAX ? (int)other : -1,
			.action = &direct->config.roles[i],
			.main_pid = mains[i],
			.uid = journal_own_uid(),
		};

		if (order->slots[i] < HS_SLOTS_MAX)
			telling_new(direct->systemd, &telling, &roles->tellings[i]);
	}
	sd_bus_flush(direct->systemd);
}

static void decide_and_tell(const struct direct *direct, struct direct_roles *roles)
{
	unsigned active = hs_word_active(plane_word(direct->plane));
	struct role_order order;
	struct role_told told;
	struct role_now now;
	pid_t mains[ROLE_CHANGES];

	if (told_read(direct->plane, &told) < 0)
		return;
	for (unsigned i = 0; i < ROLE_CHANGES; i++)
		now.wanted[i] = direct->config.roles[i].means != ROLE_UNTOLD;
	read_slot(direct, active, &now.active, &mains[ROLE_PROMOTE]);
	now.active.lives &= active < HS_SLOTS_MAX && plane_slot_sockets(direct->plane, active);
	read_slot(direct, told.known ? told.slot : HS_SLOT_NONE, &now.before, &mains[ROLE_DEMOTE]);
	role_decide(&told, &now, &order);
	if (!order.record)
		return;
	tell(direct, &order, mains, roles);
	/* what cannot be kept is told once more by the next hsd, rather than never */
	(void)told_write(direct->plane, &order.told);
}

void direct_roles_tell(const struct direct *direct, struct direct_roles *ret_roles)
{
	const struct role_action *actions = direct->config.roles;
	_cleanup_(close_fdp) int lock = -1;

	*ret_roles = (struct direct_roles) {0};
	if (actions[ROLE_DEMOTE].means == ROLE_UNTOLD && actions[ROLE_PROMOTE].means == ROLE_UNTOLD)
		return;
	/* a hsd that runs as well does it if it has the lock */
	if (!direct->systemd || told_lock(direct->plane, &lock) < 0 ||
	    sd_event_new(&ret_roles->event) < 0)
		return;
	if (sd_bus_attach_event(direct->systemd, ret_roles->event, SD_EVENT_PRIORITY_NORMAL) >= 0)
		decide_and_tell(direct, ret_roles);
}

static bool is_over(const struct direct_roles *roles, bool jobs)
{
	for (unsigned i = 0; i < ROLE_CHANGES; i++)
		if (roles->tellings[i] && !(jobs ? telling_has_ended(roles->tellings[i])
						 : telling_is_sent(roles->tellings[i])))
			return false;
	return true;
}

void direct_roles_end(const struct direct *direct, struct direct_roles *roles, bool jobs,
		      uint64_t usec)
{
	uint64_t end = now_usec() + usec, now;

	while (roles->event && !is_over(roles, jobs) && (now = now_usec()) < end)
		if (sd_event_run(roles->event, end - now) < 0)
			break;
	for (unsigned i = 0; i < ROLE_CHANGES; i++)
		roles->tellings[i] = telling_free(roles->tellings[i]);
	if (roles->event)
		sd_bus_detach_event(direct->systemd);
	roles->event = sd_event_unref(roles->event);
}
