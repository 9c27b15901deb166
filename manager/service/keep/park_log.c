// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/keep/park_log.h"

#include <inttypes.h>
#include <syslog.h>

#include "util/clock.h"
#include "util/macro.h"

/* A flood is told once in so long. */
#define TELL_EVERY (10 * USEC_PER_SEC)

void park_log_waits(struct park_log *log, const struct service *service, bool held)
{
	struct journal_scope scope = {service->name, -1, LOG_NOTICE};

	if (log->waits)
		return;
	log->waits = true;
	if (!held)
		journal_log(JOURNAL_PARK, &scope,
			    "%s: no slot is ready; new connections wait in the park until one is",
			    service->name);
}

void park_log_wait(struct park_log *log, const struct queue_age *age, uint64_t now)
{
	if (age->n)
		log->longest_usec = MAX(log->longest_usec, now - age->looks[0].first);
}

void park_log_moved(struct park_log *log, unsigned n)
{
	log->moved += n;
}

static void tell_turned_away(struct park_log *log, const struct service *service, uint64_t now)
{
	struct journal_scope scope = {service->name, -1, LOG_WARNING};
	char span[SPAN_TEXT_MAX];

	if (!log->turned_away)
		return;
	journal_log(JOURNAL_PARK, &scope,
		    "%s: %" PRIu64
		    " connection%s closed in the park, not having been served within "
		    "ParkTimeout=%s",
		    service->name, log->turned_away, log->turned_away == 1 ? "" : "s",
		    span_format(service->config.park_timeout_usec, span, sizeof(span)));
	log->turned_away = 0;
	log->turned_away_told = now;
}

void park_log_handed_over(struct park_log *log, const struct service *service, uint64_t now)
{
	struct journal_scope scope = {service->name, -1, LOG_NOTICE};
	char span[SPAN_TEXT_MAX];

	tell_turned_away(log, service, now);
	if (log->moved || log->waits)
		journal_log(JOURNAL_RELEASE, &scope,
			    "%s: %" PRIu64 " connection%s left the park for the slots; the longest "
			    "wait was %s",
			    service->name, log->moved, log->moved == 1 ? "" : "s",
			    span_format(log->longest_usec, span, sizeof(span)));
	log->waits = false;
	log->moved = log->longest_usec = 0;
}

void park_log_turned_away(struct park_log *log, const struct service *service, unsigned n,
			  uint64_t now)
{
	log->turned_away += n;
	if (now - log->turned_away_told >= TELL_EVERY)
		tell_turned_away(log, service, now);
}
