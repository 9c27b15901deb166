// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/failover/lost.h"

#include <assert.h>
#include <syslog.h>

#include "service/slot/states.h"
#include "system/journal.h"

static unsigned pick_successor(const struct service *service, unsigned slot)
{
	uint32_t others;
	unsigned to = service_pick(service, slot, true);

	if (to < HS_SLOTS_MAX)
		return to;
	/* better one that is not in order than none: it is what the kernel falls through to as well
	 */
	others = plane_live_slots(service->plane) & ~(1U << slot);
	return others ? hs_lowest(others) : HS_SLOT_NONE;
}

/* Once; and what retire has told already is not told again. */
static void tell_none_left(struct service *service, unsigned slot)
{
	struct journal_scope scope = {service->name, slot, LOG_WARNING};

	if (service->loss_told || plane_is_retired(service->plane, slot))
		return;
	service->loss_told = true;
	journal_log(JOURNAL_FAILOVER, &scope,
		    "%s: slot %u is lost and no other is ready; %s until one is", service->name,
		    slot,
		    plane_has_park(service->plane) ? "new connections wait in the park"
						   : "clients are refused");
}

static void leave_active(struct service *service, unsigned slot)
{
	struct journal_scope scope = {service->name, slot, LOG_NOTICE};
	unsigned to = pick_successor(service, slot);

	if (to >= HS_SLOTS_MAX) {
		tell_none_left(service, slot);
		return;
	}
	/* somebody else was faster: then it is done */
	if (!plane_edit_word(service->plane, word_replace, WORD_ARGS(.from = slot, .to = to), NULL))
		return;
	scope.slot = to;
	journal_log(JOURNAL_FAILOVER, &scope, "%s: slot %u is lost; slot %u is active now",
		    service->name, slot, to);
}

static void leave_slot(struct service *service, unsigned slot)
{
	struct listener **listeners;
	uint64_t word;
	size_t n;

	assert(slot < service->n_slots);
	if (!service->plane)
		return;
	listeners = plane_listeners(service->plane, &n);
	for (size_t i = 0; i < n; i++)
		listener_tidy(listeners[i], slot);
	plane_edit_word(service->plane, word_drop_canary, WORD_ARGS(.from = slot), NULL);
	word = plane_word(service->plane);
	/* an exclusive change stops the active one, and says itself who comes after it */
	if (hs_word_active(word) == slot && !(hs_word_flags(word) & HS_FLAG_EXCLUSIVE))
		leave_active(service, slot);
}

void lost_heard(struct service *service, const struct event *event)
{
	if (event->kind == EVENT_ADOPTED)
		service->loss_told = false;
	else
		leave_slot(service, event->slot);
}

void lost_check_active(struct service *service)
{
	unsigned active;

	if (!service->plane)
		return;
	active = hs_word_active(plane_word(service->plane));
	/* without another slot there is nothing to say that its unit will not say */
	if (active < service->n_slots && !plane_slot_sockets(service->plane, active) &&
	    plane_live_slots(service->plane))
		service_post(service, EVENT_LOST, active, false);
}
