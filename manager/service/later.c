// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/later.h"

#include <syslog.h>

#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

#define PAUSE_FIRST (2 * USEC_PER_MSEC)
#define PAUSE_LAST  (100 * USEC_PER_MSEC)

struct later {
	struct service *service;
	struct later *next;
	later_fn try;
	void *userdata;
	sd_event_source *timer;
	uint64_t begun, patience, pause;
	bool told;
};

static void unlink_later(struct later *later)
{
	struct later **link = &later->service->laters;

	while (*link != later)
		link = &(*link)->next;
	*link = later->next;
}

static void later_free(struct later *later)
{
	sd_event_source_disable_unref(later->timer);
	free(later);
}

static bool waits(const struct service *service, later_fn try, const void *userdata)
{
	for (const struct later *later = service->laters; later; later = later->next)
		if (later->try == try && later->userdata == userdata)
			return true;
	return false;
}

/* Who asks hears it anyway. */
static void tell(struct later *later)
{
	struct journal_scope scope = {later->service->name, -1, LOG_WARNING};

	if (later->told || later->patience != USEC_INFINITY ||
	    now_usec() - later->begun < LATER_PATIENCE)
		return;
	later->told = true;
	journal_log(JOURNAL_PROBLEM, &scope,
		    "%s: another process holds a lock of its pins, as lslocks shows; what waits "
		    "for it is tried again",
		    later->service->name);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct later *later = userdata;
	bool last =
		later->patience != USEC_INFINITY && now_usec() - later->begun >= later->patience;

	(void)usec;
	/* what it does may have others wait */
	unlink_later(later);
	if (later->try(later->userdata, last ? LATER_LAST : LATER_TRY) != -EBUSY || last) {
		later_free(later);
		return 0;
	}
	later->next = later->service->laters;
	later->service->laters = later;
	tell(later);
	later->pause = MIN(2 * later->pause, PAUSE_LAST);
	sd_event_source_set_time_relative(source, later->pause);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static struct later *later_new(struct service *service, uint64_t patience_usec)
{
	struct later *later = calloc(1, sizeof(*later));

	if (!later)
		return NULL;
	later->service = service;
	later->begun = now_usec();
	later->patience = patience_usec;
	later->pause = PAUSE_FIRST;
	if (sd_event_add_time_relative(service->host->event, &later->timer, CLOCK_MONOTONIC,
				       PAUSE_FIRST, 1, on_due, later) >= 0)
		return later;
	later_free(later);
	return NULL;
}

void later_do(struct service *service, uint64_t patience_usec, later_fn fn, void *userdata)
{
	struct later *later;

	if (waits(service, fn, userdata))
		return;
	if (!host_has(service->host, HOST_TENDS)) {
		(void)fn(userdata, LATER_LAST);
		return;
	}
	if (fn(userdata, LATER_TRY) != -EBUSY)
		return;
	later = later_new(service, patience_usec);
	if (!later) {
		(void)fn(userdata, LATER_LAST);
		return;
	}
	later->try = fn;
	later->userdata = userdata;
	later->next = service->laters;
	service->laters = later;
}

void later_drop_all(struct service *service)
{
	struct later *later;

	while ((later = service->laters)) {
		service->laters = later->next;
		(void)later->try(later->userdata, LATER_DROP);
		later_free(later);
	}
}
