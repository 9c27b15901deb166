/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What has come to be so with a service, told to all that it concerns.
 *
 * Whoever sees it posts it (service_post()) and goes on; it is heard a moment later, in the next
 * turn of the event loop, before anything else is. Events are heard one after the other, each by
 * all features in the order of their table (service/whole/assembly.c), so nothing that is done
 * about one happens below whoever has posted it, or in the middle of what is done about another.
 * What an event is about is read from the service when it is heard.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "hs_abi.h"
#include "service/host.h"

struct service;

enum event_kind {
	EVENT_UNIT_CHANGED, /* systemd has told about the slot; anew: for the first time */
	EVENT_MAY_PREPARE,  /* what its preparation has waited for has come */
	EVENT_NEW_RUN,	    /* it is about to be adopted, and was never before */
	EVENT_ADOPTED,	    /* its sockets are in the map; anew: some were not until now */
	EVENT_UNADOPTED,    /* it could not be adopted */
	EVENT_LEFT,	    /* nothing new goes there any more, though it has its sockets */
	EVENT_LOST,	    /* it has lost its sockets, or is about to */
	EVENT_MOVED,	    /* connections have moved, or are just moving, to it */
	EVENT_EMPTIED,	    /* what waited on it after a switchover has moved, or stays */
	EVENT_VERDICT,	    /* its probes say that it is not well; anew: or that it is, or nothing,
			     * and before it was not so */
	EVENT_CHANGE_ENDED, /* or an upgrade */
	EVENT_KIND_COUNT
};

struct event {
	enum event_kind kind;
	unsigned slot; /* HS_SLOT_NONE: it is about none */
	bool anew;
};

#define HEARS(kind) (1U << (kind))

struct feature {
	unsigned hears; /* HEARS() of each kind that concerns it */
	void (*heard)(struct service *service, const struct event *event);
	enum host_part part; /* of which it is */
};

/* One of a kind for each slot waits at a time: it says all that two would. */
#define EVENTS_MAX (EVENT_KIND_COUNT * (HS_SLOTS_MAX + 1))

/* Of one service. */
struct events {
	const struct host *host;
	struct service *service;
	const char *name;	 /* of the service */
	const unsigned *n_slots; /* likewise */
	const struct feature *features;
	size_t n_features;
	sd_event_source *source; /* on as long as there are any */
	struct event ring[EVENTS_MAX];
	unsigned first, n;
};

/* All that they refer to is set, and stays the caller's. */
int events_init(struct events *events);
/* What was not heard is forgotten. Also of events that were never set up, if they are zero. */
void events_done(struct events *events);

void events_post(struct events *events, enum event_kind kind, unsigned slot, bool anew);
