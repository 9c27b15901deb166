// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/events.h"

#include <assert.h>

#include "util/macro.h"

/* Before everything else that the loop has to do. */
#define PRIORITY (SD_EVENT_PRIORITY_IMPORTANT - 10)

static void tell(const struct events *events, const struct event *event)
{
	static const char *const names[] = {
		[EVENT_UNIT_CHANGED] = "unit changed",
		[EVENT_MAY_PREPARE] = "may be prepared",
		[EVENT_NEW_RUN] = "new run",
		[EVENT_ADOPTED] = "adopted",
		[EVENT_UNADOPTED] = "not adopted",
		[EVENT_LEFT] = "left",
		[EVENT_LOST] = "lost",
		[EVENT_MOVED] = "connections move to it",
		[EVENT_EMPTIED] = "its queue was moved",
		[EVENT_VERDICT] = "verdict",
		[EVENT_CHANGE_ENDED] = "a change has ended",
	};

	_Static_assert(ARRAY_SIZE(names) == EVENT_KIND_COUNT, "a name for each");
	if (event->slot == HS_SLOT_NONE)
		host_debug(events->host, "%s: %s", events->name, names[event->kind]);
	else
		host_debug(events->host, "%s: slot %u: %s%s", events->name, event->slot,
			   names[event->kind], event->anew ? ", anew" : "");
}

static struct event take(struct events *events)
{
	struct event event = events->ring[events->first];

	events->first = (events->first + 1) % EVENTS_MAX;
	events->n--;
	return event;
}

static bool concerns(const struct events *events, const struct feature *feature,
		     const struct event *event)
{
	return feature->hears & HEARS(event->kind) &&
	       (feature->part == HOST_ANY || host_has(events->host, feature->part));
}

static void hear(const struct events *events, const struct event *event)
{
	/* with fewer Slots= than before nobody is there whom it could be about */
	if (event->slot >= *events->n_slots && event->slot != HS_SLOT_NONE)
		return;
	tell(events, event);
	for (size_t i = 0; i < events->n_features; i++)
		if (concerns(events, &events->features[i], event))
			events->features[i].heard(events->service, event);
}

static int on_turn(sd_event_source *source, void *userdata)
{
	struct events *events = userdata;

	(void)source;
	while (events->n) {
		struct event event = take(events);

		hear(events, &event);
	}
	return 0;
}

static struct event *find(struct events *events, enum event_kind kind, unsigned slot)
{
	for (unsigned i = 0; i < events->n; i++) {
		struct event *event = &events->ring[(events->first + i) % EVENTS_MAX];

		if (event->kind == kind && event->slot == slot)
			return event;
	}
	return NULL;
}

void events_post(struct events *events, enum event_kind kind, unsigned slot, bool anew)
{
	struct event *event = find(events, kind, slot);

	if (event) {
		event->anew |= anew;
		return;
	}
	assert(slot < HS_SLOTS_MAX || slot == HS_SLOT_NONE);
	assert(events->n < EVENTS_MAX);
	events->ring[(events->first + events->n++) % EVENTS_MAX] =
		(struct event) {.kind = kind, .slot = slot, .anew = anew};
	sd_event_source_set_enabled(events->source, SD_EVENT_ONESHOT);
}

int events_init(struct events *events)
{
	int r = sd_event_add_defer(events->host->event, &events->source, on_turn, events);

	if (r >= 0)
		r = sd_event_source_set_priority(events->source, PRIORITY);
	if (r >= 0)
		r = sd_event_source_set_enabled(events->source, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}

void events_done(struct events *events)
{
	events->source = sd_event_source_disable_unref(events->source);
	events->n = 0;
}
