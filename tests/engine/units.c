// SPDX-License-Identifier: GPL-2.0-or-later
#include "units.h"

#include <string.h>
#include <sys/queue.h>

#include "../plane/rig.h"
#include "nth.h"
#include "util/macro.h"

#define UNITS_MAX 32

struct unit {
	char name[UNIT_NAME_MAX];
	struct unit_facts facts;
};

struct unit_watch {
	LIST_ENTRY(unit_watch) entry;
	const struct unit *unit;
	struct unit_facts facts; /* as told last */
	char cgroup[CONFIG_CGROUP_MAX];
	unit_changed_fn on_changed;
	void *userdata;
	sd_event_source *telling;
};

struct unit_job {
	TAILQ_ENTRY(unit_job) entry;
	char unit[UNIT_NAME_MAX];
	enum unit_action action;
	unit_job_fn on_end; /* NULL: nobody waits for it */
	void *userdata;
};

static struct {
	sd_event *event;
	struct unit units[UNITS_MAX];
	unsigned n;
	LIST_HEAD(, unit_watch) watches;
	TAILQ_HEAD(, unit_job) jobs;
} all;

void units_begin(void)
{
	memset(&all, 0, sizeof(all));
	LIST_INIT(&all.watches);
	TAILQ_INIT(&all.jobs);
}

void units_tell_by(sd_event *event)
{
	rig_check(LIST_EMPTY(&all.watches));
	all.event = event;
}

void units_end(void)
{
	struct unit_job *job;

	rig_check(LIST_EMPTY(&all.watches));
	while ((job = TAILQ_FIRST(&all.jobs))) {
		rig_check(!job->on_end);
		TAILQ_REMOVE(&all.jobs, job, entry);
		free(job);
	}
}

/* For the engine, but no call of its: never fails. */
static void *alloc(size_t size)
{
	bool inside = nth_pause();
	void *p = calloc(1, size);

	rig_check(p);
	nth_resume(inside);
	return p;
}

static struct unit *find(const char *name)
{
	for (unsigned i = 0; i < all.n; i++)
		if (!strcmp(all.units[i].name, name))
			return &all.units[i];
	rig_check(all.n < UNITS_MAX);
	snprintf(all.units[all.n].name, UNIT_NAME_MAX, "%s", name);
	all.units[all.n].facts.state = UNIT_DOWN;
	return &all.units[all.n++];
}

void units_hide(const char *unit, const struct unit_facts *facts)
{
	find(unit)->facts = *facts;
}

void units_say(const char *unit, const struct unit_facts *facts)
{
	const struct unit *said = find(unit);
	struct unit_watch *watch;

	units_hide(unit, facts);
	LIST_FOREACH (watch, &all.watches, entry)
		if (watch->unit == said)
			unit_watch_refresh(watch);
}

/* ---- system/unit/unitwatch.h ---- */

static int on_telling(sd_event_source *source, void *userdata)
{
	struct unit_watch *watch = userdata;

	(void)source;
	watch->facts = watch->unit->facts;
	unit_facts_set_cgroup(&watch->facts, watch->cgroup);
	watch->on_changed(&watch->facts, 0, watch->userdata);
	return 0;
}

int unit_watch_new(sd_bus *bus, const char *unit, unit_changed_fn on_changed, void *userdata,
		   struct unit_watch **ret_watch)
{
	struct unit_watch *watch;
	bool inside;

	(void)bus;
	if (nth_fails("unit_watch_new", __builtin_return_address(0)))
		return -ENOMEM;
	watch = alloc(sizeof(*watch));
	watch->unit = find(unit);
	watch->on_changed = on_changed;
	watch->userdata = userdata;
	inside = nth_pause();
	rig_check(sd_event_add_defer(all.event, &watch->telling, on_telling, watch) >= 0);
	nth_resume(inside);
	LIST_INSERT_HEAD(&all.watches, watch, entry);
	*ret_watch = watch;
	return 0;
}

struct unit_watch *unit_watch_free(struct unit_watch *watch)
{
	if (!watch)
		return NULL;
	LIST_REMOVE(watch, entry);
	sd_event_source_disable_unref(watch->telling);
	free(watch);
	return NULL;
}

void unit_watch_refresh(struct unit_watch *watch)
{
	if (watch)
		sd_event_source_set_enabled(watch->telling, SD_EVENT_ONESHOT);
}

const struct unit_facts *unit_watch_facts(const struct unit_watch *watch)
{
	return &watch->facts;
}

void unit_watch_set_cgroup(struct unit_watch *watch, const char *cgroup)
{
	snprintf(watch->cgroup, sizeof(watch->cgroup), "%s", cgroup);
	unit_watch_refresh(watch);
}

/* ---- system/unit/unitjob.h ---- */

int unit_job_new(sd_bus *bus, enum unit_action action, const char *unit, unit_job_fn on_end,
		 void *userdata, struct unit_job **ret_job)
{
	struct unit_job *job;

	(void)bus;
	if (nth_fails("unit_job_new", __builtin_return_address(0)))
		return -ENOTCONN;
	job = alloc(sizeof(*job));
	snprintf(job->unit, sizeof(job->unit), "%s", unit);
	job->action = action;
	job->on_end = on_end;
	job->userdata = userdata;
	TAILQ_INSERT_TAIL(&all.jobs, job, entry);
	if (ret_job)
		*ret_job = job;
	return 0;
}

/* Only for units of our own making, which the tests have none of. */
int unit_job_send(sd_bus *bus, sd_bus_message *order, unit_job_fn on_end, void *userdata,
		  struct unit_job **ret_job)
{
	(void)bus;
	(void)order;
	(void)on_end;
	(void)userdata;
	(void)ret_job;
	return -ENOTCONN;
}

int unit_order_new(sd_bus *bus, enum unit_action action, const char *unit,
		   sd_bus_message **ret_order)
{
	(void)bus;
	(void)action;
	(void)unit;
	(void)ret_order;
	return -ENOTCONN;
}

bool unit_job_is_made(const struct unit_job *job)
{
	return job;
}

struct unit_job *unit_job_free(struct unit_job *job)
{
	if (job)
		job->on_end = NULL;
	return NULL;
}

static struct unit_job *find_job(const char *unit)
{
	struct unit_job *job;

	TAILQ_FOREACH(job, &all.jobs, entry)
	if (!strcmp(job->unit, unit))
		return job;
	return NULL;
}

bool units_find_job(const char *unit, enum unit_action *ret_action)
{
	const struct unit_job *job = find_job(unit);

	if (job)
		*ret_action = job->action;
	return job;
}

void units_end_job(const char *unit, const char *result)
{
	struct unit_job *job = find_job(unit);

	rig_check(job);
	TAILQ_REMOVE(&all.jobs, job, entry);
	if (job->on_end)
		job->on_end(result, NULL, job->userdata);
	free(job);
}
