// SPDX-License-Identifier: GPL-2.0-or-later
/* Units as they change: each change is a reason to ask systemd anew. */
#include "system/unit/unitwatch.h"

#include <string.h>
#include <systemd/sd-event.h>

#include "system/unit/unitlink.h"

/* A unit that says something new with every breath (sd_notify(3), STATUS=) is told about after so
 * many answers, and asked about again after this long. */
#define PASSED_OVER_MAX 4
#define RESTLESS_USEC	(100 * USEC_PER_MSEC)

struct unit_watch {
	LIST_ENTRY(unit_watch) entry;
	struct unitlink *link;
	char *path;
	struct unit_facts facts;
	char *cgroup; /* see unit_watch_set_cgroup(); NULL = none */
	unit_changed_fn on_changed;
	void *userdata;
	struct unitcall call;
	bool again, again_urgent; /* a change came in while an answer was awaited */
	unsigned passed_over;	  /* answers in a row that were older than a change */
	uint64_t delay;		  /* before it is asked again; 0 = the last question was answered */
	sd_event_source *again_source;
};

DEFINE_CLEANUP(struct unit_watch, unit_watch_free)

struct unit_watch *unit_watch_free(struct unit_watch *watch)
{
	if (!watch)
		return NULL;
	if (watch->path)
		LIST_REMOVE(watch, entry);
	unitcall_cancel(&watch->call);
	sd_event_source_disable_unref(watch->again_source);
	unitlink_unref(watch->link);
	unit_facts_done(&watch->facts);
	free(watch->cgroup);
	free(watch->path);
	free(watch);
	return NULL;
}

static void ask(struct unit_watch *watch, bool urgent);

static int on_again_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	ask(userdata, false);
	return 0;
}

static void ask_after(struct unit_watch *watch, uint64_t delay)
{
	sd_event *event = sd_bus_get_event(unitlink_bus(watch->link));

	watch->again_source = sd_event_source_disable_unref(watch->again_source);
	if (event)
		sd_event_add_time_relative(event, &watch->again_source, CLOCK_MONOTONIC, delay, 0,
					   on_again_due, watch);
}

static void ask_later(struct unit_watch *watch)
{
	ask_after(watch, unitlink_delay(&watch->delay));
}

static void on_facts(sd_bus_message *answer, int error, void *userdata)
{
	struct unit_watch *watch = userdata;
	struct unit_facts facts;

	if (!error)
		error = unit_facts_read(answer, &facts);
	if (!error) {
		unit_facts_done(&watch->facts);
		watch->facts = facts;
		unit_facts_set_cgroup(&watch->facts, watch->cgroup);
		watch->delay = 0;
	}
	if (watch->again && !error) {
		/* this answer may be older than what was asked about: wait for the next; but a unit
		 * that changes all the time is told about, too, and not asked about all the time */
		watch->again = false;
		if (++watch->passed_over < PASSED_OVER_MAX) {
			ask(watch, watch->again_urgent);
			return;
		}
		ask_after(watch, RESTLESS_USEC);
	}
	watch->passed_over = 0;
	if (error) {
		watch->again = false;
		ask_later(watch);
	}
	watch->on_changed(&watch->facts, error, watch->userdata);
}

static int send_question(struct unit_watch *watch, bool urgent)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(unitlink_bus(watch->link), &m, SYSTEMD, watch->path,
					       PROPERTIES, "GetAll");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", "");
	watch->call.urgent = urgent;
	return r < 0 ? r : unitcall_send(&watch->call, watch->link, m, on_facts, watch);
}

static void ask(struct unit_watch *watch, bool urgent)
{
	watch->again_source = sd_event_source_disable_unref(watch->again_source);
	if (unitcall_is_sent(&watch->call)) {
		watch->again_urgent = urgent || (watch->again && watch->again_urgent);
		watch->again = true;
	} else if (unitcall_waits(&watch->call)) {
		if (urgent)
			unitcall_hurry(&watch->call);
	} else if (send_question(watch, urgent) < 0) {
		ask_later(watch);
	}
}

void unit_watch_refresh(struct unit_watch *watch)
{
	if (watch)
		ask(watch, true);
}

static void on_told(struct unit_watches *watches, const char *path)
{
	struct unit_watch *watch;

	LIST_FOREACH (watch, watches, entry)
		if (!path || !strcmp(watch->path, path))
			ask(watch, false);
}

int unit_watch_new(sd_bus *bus, const char *unit, unit_changed_fn on_changed, void *userdata,
		   struct unit_watch **ret_watch)
{
	_cleanup_(unit_watch_freep) struct unit_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	watch->link = unitlink_ref(bus);
	if (!watch->link)
		return -ENOMEM;
	watch->on_changed = on_changed;
	watch->userdata = userdata;
	r = unit_path(unit, &watch->path);
	if (r < 0)
		return r;
	LIST_INSERT_HEAD(unitlink_watches(watch->link, watch->path, on_told), watch, entry);
	ask(watch, false);
	*ret_watch = steal_ptr(&watch);
	return 0;
}

const struct unit_facts *unit_watch_facts(const struct unit_watch *watch)
{
	return &watch->facts;
}

void unit_watch_set_cgroup(struct unit_watch *watch, const char *cgroup)
{
	free(watch->cgroup);
	watch->cgroup = strdup(cgroup);
	ask(watch, false);
}
