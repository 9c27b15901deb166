// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/keep/pathguard.h"

#include <inttypes.h>
#include <string.h>
#include <sys/inotify.h>
#include <syslog.h>

#include "plane/pathlink.h"
#include "service/slot/orders.h"
#include "service/watch/filewatch.h"
#include "system/journal.h"
#include "system/work/work.h"
#include "util/clock.h"
#include "util/macro.h"

/* Who owns a folder may change it as often as they like: after a change it is looked at at once,
 * but no more often than this, and twice as seldom each time as long as it goes on. */
#define REST_MIN (50 * USEC_PER_MSEC)
#define REST_MAX (1 * USEC_PER_SEC)
/* Where that cannot be noticed, for want of a descriptor or of memory, it is looked at this often.
 */
#define LOOK_EVERY (10 * USEC_PER_SEC)
/* After a link has been made anew the next one takes this long, twice as long each time; when it
 * has lasted for a while it begins anew. */
#define DELAY_MIN (50 * USEC_PER_MSEC)
#define DELAY_MAX (30 * USEC_PER_SEC)
#define LASTED	  (60 * USEC_PER_SEC)
/* A slot that starts makes its link itself, a moment after it was adopted. */
#define MADE_WITHIN (1 * USEC_PER_SEC)
#define JOB_TIME    (10 * USEC_PER_SEC)
#define STOP_TIME   (1 * USEC_PER_SEC)

#define CHANGES                                                                                \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | \
	 IN_ONLYDIR | IN_ONESHOT)

struct pathguard {
	struct service *service;
	struct watched folders; /* of the paths */
	sd_event_source *timer;
	uint64_t changed, rest;
	struct work *work;	 /* it is being looked */
	bool again;		 /* once more when it has been */
	char wrong[HS_PATH_MAX]; /* the path that was no link; "" = none */
	bool due;		 /* it was right before, or has not become so in time */
	char held[HS_PATH_MAX];	 /* at the first look: one from whose folder nothing can be removed
				  */
	uint64_t made, delay; /* when it was last, and how long the next one takes; 0 = at once */
	char unit[UNIT_NAME_MAX];
	struct unit_job *job; /* the links are being made */
};

struct pathguard *pathguard_free(struct pathguard *guard)
{
	if (!guard)
		return NULL;
	watched_done(&guard->folders);
	sd_event_source_disable_unref(guard->timer);
	work_forget(guard->work);
	unit_job_free(guard->job);
	free(guard);
	return NULL;
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
		sd_event_add_time_relative(guard->service->host->event, &guard->timer,
					   CLOCK_MONOTONIC, usec, USEC_PER_MSEC, on_timer, guard);
}

/* ---- making them anew ---- */

static void on_made(const char *result, const struct problem *problem, void *userdata)
{
	struct pathguard *guard = userdata;
	struct journal_scope scope = {guard->service->name, -1, LOG_WARNING};

	guard->job = NULL;
	if (!problem)
		unit_transient_end(guard->service->host->bus, guard->unit, false);
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
	if (now - guard->made > LASTED) {
		guard->delay = 0;
	} else if (now < due) {
		look_later(guard, due - now);
		return false;
	}
	guard->made = now;
	guard->delay = MIN(MAX(2 * guard->delay, DELAY_MIN), DELAY_MAX);
	return true;
}

static void tell(const struct pathguard *guard)
{
	struct journal_scope scope = {guard->service->name, -1, LOG_NOTICE};

	if (guard->wrong[0])
		journal_log(JOURNAL_PROBLEM, &scope,
			    "%s: %s is no link to its slots, and is made one again",
			    guard->service->name, guard->wrong);
	else
		journal_log(JOURNAL_PROBLEM, &scope,
			    "%s: nothing can be removed from the folder of %s; if that is left "
			    "from a hsctl that was killed it is taken back",
			    guard->service->name, guard->held);
}

static void make(struct pathguard *guard)
{
	struct service *service = guard->service;
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

	if (name_unit(service->name, hs_word_active(plane_word(service->plane)), slot_unit,
		      sizeof(slot_unit)) < 0 ||
	    !may_make(guard))
		return;
	snprintf(guard->unit, sizeof(guard->unit), "hotstandby-paths-%.200s-%" PRIx64 ".service",
		 service->name, now_usec());
	tell(guard);
	if (unit_transient_new(service->host->bus, &order, on_made, guard, &guard->job) < 0)
		look_later(guard, guard->delay);
}

/* ---- looking ---- */

/* What has happened is not read: all is looked at. */
static void on_change(void *userdata)
{
	struct pathguard *guard = userdata;
	uint64_t now = now_usec();
	bool often = now - guard->changed < 2 * guard->rest;

	guard->rest = often ? MIN(2 * guard->rest, REST_MAX) : REST_MIN;
	guard->changed = now;
	if (often)
		look_later(guard, guard->rest);
	else
		pathguard_look(guard);
}

static void keep_watches(struct pathguard *guard, const struct work_public *public)
{
	int *watches = calloc(public->n_watches + 1, sizeof(*watches));

	for (unsigned i = 0; watches && i < public->n_watches; i++)
		watches[i] = public->watches[i];
	watched_end(&guard->folders, watches, public->n_watches);
}

static void on_looked(struct work_answer *answer, void *userdata)
{
	const struct work_public *public = answer->data;
	struct pathguard *guard = userdata;
	bool again = guard->again;

	guard->work = NULL;
	guard->again = false;
	if (answer->result < 0 || answer->size != sizeof(*public)) {
		watched_end(&guard->folders, NULL, 0);
		look_later(guard, LOOK_EVERY);
		return;
	}
	memcpy(guard->wrong, public->wrong, sizeof(guard->wrong));
	snprintf(guard->held, sizeof(guard->held), "%s", guard->due ? "" : public->held);
	keep_watches(guard, public);
	if (again) {
		pathguard_look(guard);
		return;
	}
	if (guard->held[0] || (guard->wrong[0] && guard->due))
		make(guard);
	else if (guard->wrong[0])
		look_later(guard, MADE_WITHIN);
	guard->due = true;
}

void pathguard_look(struct pathguard *guard)
{
	struct work_order order = {.kind = WORK_PUBLIC, .slot = HS_SLOT_NONE, .changes = CHANGES};
	struct order_scope scope = {.left_out = UINT32_MAX};
	int fd;

	if (!guard || !guard->service->plane || guard->timer ||
	    !plane_paths(guard->service->plane)->entries)
		return;
	guard->again = guard->work;
	if (guard->work)
		return;
	fd = filewatch_fd(guard->service->host->filewatch);
	scope.fds = &fd;
	scope.n_fds = fd >= 0;
	watched_begin(&guard->folders);
	if (service_order(guard->service, &scope, &order, on_looked, guard, &guard->work) < 0 ||
	    fd < 0)
		look_later(guard, LOOK_EVERY);
}

int pathguard_new(struct service *service, struct pathguard **ret_guard)
{
	struct pathguard *guard = calloc(1, sizeof(*guard));

	if (!guard)
		return -ENOMEM;
	guard->service = service;
	watched_init(&guard->folders, service->host->filewatch, on_change, guard);
	*ret_guard = guard;
	return 0;
}

void pathguard_describe(const struct pathguard *guard, struct problem *ret_sentence)
{
	if (!guard)
		return;
	pathlink_describe(guard->service->plane, ret_sentence);
	if (guard->wrong[0] && !ret_sentence->text[0])
		pathlink_describe_wrong(guard->service->plane, guard->wrong, ret_sentence);
}

void pathguard_heard(struct service *service, const struct event *event)
{
	(void)event;
	pathguard_look(service->pathguard);
}
