// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/watch/event_log.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>

#include "service/slot/front_facts.h"
#include "service/watch/hang.h"
#include "system/journal.h"
#include "util/macro.h"

#define GATHER_USEC (100 * USEC_PER_MSEC)
/* slots, the park, and one for "none" */
#define PLACES (HS_PLACES_MAX + 1)

struct event_log {
	struct service *service;
	sd_event_source *ring_source, *timer;
	bool gathering;
	uint64_t counts[HS_EVENT_COUNT][PLACES][PLACES]; /* kind, from, to */
	uint64_t lost_before;
};

DEFINE_CLEANUP(struct event_log, event_log_free)

static unsigned place_of(uint8_t slot)
{
	return MIN(slot, HS_PLACES_MAX);
}

struct place_name {
	char text[32];
};

/* HS_PLACES_MAX: a listener that is gone, so that nobody knows any more whose it was; half-open
 * handshakes move from it late. */
static struct place_name name_of(unsigned place)
{
	struct place_name name = {"a listener that is gone"};

	if (place < HS_SLOTS_MAX)
		snprintf(name.text, sizeof(name.text), "slot %u", place);
	else if (place == HS_SLOT_PARK)
		snprintf(name.text, sizeof(name.text), "the park");
	return name;
}

static void tell(const struct service *service, unsigned kind, unsigned from, unsigned to,
		 uint64_t n)
{
	struct journal_scope scope = {service->name, to < HS_SLOTS_MAX ? (int)to : -1, LOG_INFO};
	bool front = service_is_front(service);

	switch (kind) {
	case HS_EVENT_MIGRATED:
		journal_log(JOURNAL_MIGRATED, &scope, "%s: %" PRIu64 " waiting moved from %s to %s",
			    service->name, n, name_of(from).text, name_of(to).text);
		break;
	case HS_EVENT_FELL_THROUGH:
		scope.priority = LOG_NOTICE;
		journal_log(JOURNAL_FELL_THROUGH, &scope,
			    "%s: %" PRIu64 " new connections for %s, %s, went to %s", service->name,
			    n, name_of(from).text,
			    front ? "which takes none" : "whose sockets are gone",
			    name_of(to).text);
		break;
	case HS_EVENT_NOTHING:
		scope.priority = LOG_WARNING;
		journal_log(JOURNAL_UNROUTED, &scope,
			    "%s: for %" PRIu64 " new connections %s; the kernel %s", service->name,
			    n, front ? "no host took any" : "no slot had a socket",
			    front ? "here had them" : "chose by itself");
		break;
	}
}

static void tell_lost(struct event_log *log)
{
	struct journal_scope scope = {log->service->name, -1, LOG_NOTICE};
	struct plane_totals totals;

	if (plane_totals(log->service->plane, &totals) || totals.events_lost <= log->lost_before)
		return;
	journal_log(JOURNAL_PROBLEM, &scope,
		    "%s: %" PRIu64 " events came too fast to be told; the counters have them all",
		    log->service->name, totals.events_lost - log->lost_before);
	log->lost_before = totals.events_lost;
}

static void tell_all(struct event_log *log)
{
	for (unsigned kind = 0; kind < HS_EVENT_COUNT; kind++)
		for (unsigned from = 0; from < PLACES; from++)
			for (unsigned to = 0; to < PLACES; to++)
				if (log->counts[kind][from][to])
					tell(log->service, kind, from, to,
					     log->counts[kind][from][to]);
	tell_lost(log);
	memset(log->counts, 0, sizeof(log->counts));
	log->gathering = false;
}

static int on_gathered(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct event_log *log = userdata;

	(void)source;
	(void)usec;
	plane_events_consume(log->service->plane);
	plane_events_rest(log->service->plane);
	tell_all(log);
	sd_event_source_set_enabled(log->ring_source, SD_EVENT_ON);
	return 0;
}

static void start_gathering(struct event_log *log)
{
	if (log->gathering)
		return;
	if (sd_event_source_set_time_relative(log->timer, GATHER_USEC) < 0 ||
	    sd_event_source_set_enabled(log->timer, SD_EVENT_ONESHOT) < 0)
		return;
	log->gathering = true;
}

static void on_event(const struct hs_event *event, void *userdata)
{
	struct event_log *log = userdata;

	/* a kind of a later version: not ours to judge */
	if (event->kind >= HS_EVENT_COUNT)
		return;
	if (event->kind == HS_EVENT_MIGRATED)
		hang_on_traffic(log->service->hang);
	if (event->kind == HS_EVENT_MIGRATED && event->to < HS_SLOTS_MAX)
		service_post(log->service, EVENT_MOVED, event->to, false);
	/* of a selector of an earlier build: service/keep/park_log.h tells of the park */
	if (event->to == HS_SLOT_PARK || event->from == HS_SLOT_PARK)
		return;
	log->counts[event->kind][place_of(event->from)][place_of(event->to)]++;
	start_gathering(log);
}

/* They stay where they are, and are asked for again a moment later. */
static void consume_later(struct event_log *log)
{
	sd_event_source_set_enabled(log->ring_source, SD_EVENT_OFF);
	start_gathering(log);
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct event_log *log = userdata;

	(void)source;
	(void)fd;
	(void)events;
	if (plane_events_consume(log->service->plane) < 0)
		consume_later(log);
	return 0;
}

int event_log_new(struct service *service, struct event_log **ret_log)
{
	_cleanup_(event_log_freep) struct event_log *log = calloc(1, sizeof(*log));
	struct plane_totals totals = {0};
	int fd, r;

	if (!log)
		return -ENOMEM;
	log->service = service;
	plane_totals(service->plane, &totals);
	log->lost_before = totals.events_lost;
	r = plane_events_watch(service->plane, on_event, log, &fd);
	if (r >= 0)
		r = sd_event_add_io(service->host->event, &log->ring_source, fd, EPOLLIN,
				    on_readable, log);
	if (r >= 0)
		r = sd_event_add_time_relative(service->host->event, &log->timer, CLOCK_MONOTONIC,
					       GATHER_USEC, USEC_PER_MSEC, on_gathered, log);
	if (r < 0)
		return r;
	*ret_log = steal_ptr(&log);
	return 0;
}

struct event_log *event_log_free(struct event_log *log)
{
	if (!log)
		return NULL;
	sd_event_source_disable_unref(log->ring_source);
	sd_event_source_disable_unref(log->timer);
	if (log->gathering)
		tell_all(log);
	free(log);
	return NULL;
}
