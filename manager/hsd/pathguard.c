// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/pathguard.h"

#include <inttypes.h>
#include <string.h>
#include <sys/inotify.h>
#include <syslog.h>

#include "hsd/instance.h"
#include "plane/pathlink.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* Who owns a folder may change it as often as they like: it is looked at again after this time. */
#define LOOK_AGAIN (50 * USEC_PER_MSEC)
/* After a link has been made anew the next one takes this long, twice as long each time; when it
 * has lasted for a while it begins anew. */
#define DELAY_MIN (50 * USEC_PER_MSEC)
#define DELAY_MAX (30 * USEC_PER_SEC)
#define LASTED	  (60 * USEC_PER_SEC)
#define JOB_TIME  (10 * USEC_PER_SEC)
#define STOP_TIME (1 * USEC_PER_SEC)

#define CHANGES                                                                                \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | \
	 IN_ONLYDIR)

struct pathguard {
	struct service *service;
	sd_event_source *watches[HS_PATHS_MAX];
	sd_event_source *timer;
	uint64_t made, delay; /* when it was last, and how long the next one takes; 0 = at once */
	char unit[UNIT_NAME_MAX];
	struct unit_job *job; /* the links are being made */
};

static void unwatch(struct pathguard *guard)
{
	for (unsigned i = 0; i < HS_PATHS_MAX; i++)
		guard->watches[i] = sd_event_source_disable_unref(guard->watches[i]);
}

struct pathguard *pathguard_free(struct pathguard *guard)
{
	if (!guard)
		return NULL;
	unwatch(guard);
	sd_event_source_disable_unref(guard->timer);
	unit_job_free(guard->job);
	free(guard);
	return NULL;
}

int pathguard_new(struct service *service, struct pathguard **ret_guard)
{
	struct pathguard *guard = calloc(1, sizeof(*guard));

	if (!guard)
		return -ENOMEM;
	guard->service = service;
	*ret_guard = guard;
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct pathguard *guard = userdata;

	(void)usec;
	guard->timer = sd_event_source_disable_unref(source);
	pathguard_look(guard);
	return 0;
}

static void look_later(struct pathguard *guard, uint64_t usec)
{
	if (!guard->timer)
		sd_event_add_time_relative(guard->service->context->event, &guard->timer,
					   CLOCK_MONOTONIC, usec, USEC_PER_MSEC, on_timer, guard);
}

/* ---- making them anew ---- */

static void on_made(const char *result, const struct problem *problem, void *userdata)
{
	struct pathguard *guard = userdata;
	struct journal_scope scope = {guard->service->name, -1, LOG_WARNING};

	guard->job = NULL;
	if (!problem)
		unit_transient_end(guard->service->context->bus, guard->unit, false);
	if (strcmp(result, "done"))
		journal_log(JOURNAL_PROBLEM, &scope,
			    "%s: the links of its paths could not be made anew: %s",
			    guard->service->name, problem ? problem->text : result);
	pathguard_look(guard);
}

/* Whether it is time. */
static bool may_make(struct pathguard *guard)
{
	uint64_t now = now_usec(), due = guard->made + guard->delay;

	if (guard->job)
		return false;
	if (now - guard->made > LASTED)
		guard->delay = 0;
	else if (now < due) {
		look_later(guard, due - now);
		return false;
	}
	guard->made = now;
	guard->delay = MIN(MAX(2 * guard->delay, DELAY_MIN), DELAY_MAX);
	return true;
}

static void make(struct pathguard *guard, const char *path)
{
	struct service *service = guard->service;
	struct journal_scope scope = {service->name, -1, LOG_NOTICE};
	char slot_unit[UNIT_NAME_MAX];
	const char *argv[] = {HS_PREFIX "/bin/hsctl", "adopt", "--", slot_unit, NULL};
	struct unit_transient order = {
		.name = guard->unit,
		.description = "hotstandby links of paths",
		.identifier = "hsctl",
		.binds_to = "hsd.service",
		.argv = argv,
		.timeout_usec = JOB_TIME,
		.stop_usec = STOP_TIME,
	};

	if (!may_make(guard) || name_unit(service->name, hs_word_active(plane_word(service->plane)),
					  slot_unit, sizeof(slot_unit)) < 0)
		return;
	snprintf(guard->unit, sizeof(guard->unit), "hotstandby-paths-%.200s-%" PRIx64 ".service",
		 service->name, now_usec());
	journal_log(JOURNAL_PROBLEM, &scope,
		    "%s: %s is no link to its slots, and is made one again", service->name, path);
	unit_transient_new(service->context->bus, &order, on_made, guard, &guard->job);
}

/* ---- looking ---- */

static void check(struct pathguard *guard)
{
	const char *live[HS_PATHS_MAX], *wrong = NULL;
	unsigned n = paths_live(plane_paths(guard->service->plane), live);

	for (unsigned i = 0; i < n; i++)
		if (!pathlink_is_public(guard->service->name, live[i]))
			wrong = live[i];
	if (wrong)
		make(guard, wrong);
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct pathguard *guard = userdata;

	(void)source;
	(void)event;
	/* one look for all that happens in the next moment, however much that is */
	unwatch(guard);
	check(guard);
	look_later(guard, LOOK_AGAIN);
	return 0;
}

void pathguard_look(struct pathguard *guard)
{
	const char *live[HS_PATHS_MAX];
	char folder[HS_PATH_MAX];
	unsigned n;

	if (!guard || !guard->service->plane || guard->timer)
		return;
	unwatch(guard);
	n = paths_live(plane_paths(guard->service->plane), live);
	for (unsigned i = 0; i < n; i++) {
		path_folder(live[i], folder);
		/* one that is not there, or not for us to see, is not watched */
		sd_event_add_inotify(guard->service->context->event, &guard->watches[i], folder,
				     CHANGES, on_change, guard);
	}
	check(guard);
}
