// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/unit/unitlink.h"

#include <string.h>
#include <systemd/sd-event.h>

/* Unanswered calls of one connection: dbus-daemon allows 128, and others make calls beside us. */
#define IN_FLIGHT_MAX 32
#define DELAY_MIN     (1 * USEC_PER_SEC)
#define DELAY_MAX     (30 * USEC_PER_SEC)
#define BUCKETS	      1024

#define UNIT_CHANGED                                                                 \
	"type='signal',sender='" SYSTEMD "',path_namespace='" SYSTEMD_PATH "/unit'," \
	"interface='" PROPERTIES "',member='PropertiesChanged',arg0='" SYSTEMD_UNIT "'"
#define OWNER_CHANGED                                                               \
	"type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus'," \
	"interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" SYSTEMD "'"

TAILQ_HEAD(calls, unitcall);

struct unitlink {
	LIST_ENTRY(unitlink) entry;
	unsigned refs;
	sd_bus *bus;
	char *owner; /* systemd's own name on the bus, once it has answered */
	sd_bus_slot *changed_match, *removed_match, *owner_match;
	struct calls urgent, ordinary;
	unsigned in_flight;
	struct unitcall subscription;
	uint64_t subscribe_delay; /* 0 = it has not failed */
	sd_event_source *subscribe_source;
	struct unit_jobs jobs;
	unit_jobs_removed_fn on_job_removed; /* these three: NULL as long as there was none */
	unit_jobs_check_fn on_return;
	unit_watches_fn on_unit_changed;
	struct unit_watches watches[BUCKETS];
};

static LIST_HEAD(, unitlink) links = LIST_HEAD_INITIALIZER(links);

uint64_t unitlink_delay(uint64_t *delay)
{
	*delay = *delay ? MIN(2 * *delay, DELAY_MAX) : DELAY_MIN;
	return *delay;
}

sd_bus *unitlink_bus(const struct unitlink *link)
{
	return link->bus;
}

struct unit_jobs *unitlink_jobs(struct unitlink *link, unit_jobs_removed_fn on_removed,
				unit_jobs_check_fn on_return)
{
	link->on_job_removed = on_removed;
	link->on_return = on_return;
	return &link->jobs;
}

/* FNV-1a */
static struct unit_watches *watches_of(struct unitlink *link, const char *path)
{
	uint32_t hash = 0x811c9dc5;

	for (; *path; path++)
		hash = (hash ^ (uint8_t)*path) * 0x01000193;
	return &link->watches[hash % BUCKETS];
}

struct unit_watches *unitlink_watches(struct unitlink *link, const char *path,
				      unit_watches_fn on_changed)
{
	link->on_unit_changed = on_changed;
	return watches_of(link, path);
}

/* ---- calls ---- */

static struct calls *queue_of(const struct unitcall *call)
{
	return call->urgent ? &call->link->urgent : &call->link->ordinary;
}

static void send_next(struct unitlink *link);

static void finish(struct unitcall *call)
{
	if (call->slot)
		call->link->in_flight--;
	else
		TAILQ_REMOVE(queue_of(call), call, entry);
	call->slot = sd_bus_slot_unref(call->slot);
	call->message = sd_bus_message_unref(call->message);
	call->link = NULL;
}

/* A signal counts only when it comes from who answers us: anybody may send one. */
static void learn_owner(struct unitlink *link, sd_bus_message *answer)
{
	const char *sender = sd_bus_message_get_sender(answer);

	if (!sender || sender[0] != ':' || (link->owner && !strcmp(link->owner, sender)))
		return;
	free(link->owner);
	link->owner = strdup(sender);
}

static bool is_systemds(const struct unitlink *link, sd_bus_message *signal)
{
	const char *sender = sd_bus_message_get_sender(signal);

	if (!sender)
		return false;
	/* a bus names every sender so; on systemd's own socket there is nobody but systemd */
	if (sender[0] != ':')
		return !strcmp(sender, SYSTEMD);
	return link->owner && !strcmp(link->owner, sender);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct unitcall *call = userdata;
	struct unitlink *link = call->link;

	(void)error;
	learn_owner(link, m);
	link->refs++;
	finish(call);
	/* it may free what the call is part of; so may whoever is told that the next cannot be sent
	 */
	call->on_answer(m, -sd_bus_message_get_errno(m), call->userdata);
	send_next(link);
	unitlink_unref(link);
	return 0;
}

static int send_now(struct unitcall *call)
{
	struct unitlink *link = call->link;
	int r = sd_bus_call_async(link->bus, &call->slot, call->message, on_answer, call, 0);

	if (r < 0)
		return r;
	TAILQ_REMOVE(queue_of(call), call, entry);
	link->in_flight++;
	return 0;
}

static struct unitcall *next_call(const struct unitlink *link)
{
	return TAILQ_FIRST(&link->urgent) ?: TAILQ_FIRST(&link->ordinary);
}

static void send_next(struct unitlink *link)
{
	struct unitcall *call;
	int r;

	/* who is told of a failure may be the last to want it */
	link->refs++;
	while ((call = next_call(link)) && link->in_flight < IN_FLIGHT_MAX) {
		r = send_now(call);
		if (r >= 0)
			continue;
		finish(call);
		call->on_answer(NULL, r, call->userdata);
	}
	unitlink_unref(link);
}

int unitcall_send(struct unitcall *call, struct unitlink *link, sd_bus_message *message,
		  unitcall_fn on_answer_fn, void *userdata)
{
	int r = 0;

	call->link = link;
	call->message = sd_bus_message_ref(message);
	call->on_answer = on_answer_fn;
	call->userdata = userdata;
	TAILQ_INSERT_TAIL(queue_of(call), call, entry);
	if (link->in_flight < IN_FLIGHT_MAX)
		r = send_now(call);
	if (r < 0)
		finish(call);
	return r;
}

void unitcall_hurry(struct unitcall *call)
{
	if (!unitcall_waits(call) || call->urgent)
		return;
	TAILQ_REMOVE(queue_of(call), call, entry);
	call->urgent = true;
	TAILQ_INSERT_TAIL(queue_of(call), call, entry);
}

void unitcall_send_unheard(struct unitcall *call)
{
	/* nor does it count as unanswered */
	if (sd_bus_message_set_expect_reply(call->message, false) >= 0)
		sd_bus_send(call->link->bus, call->message, NULL);
}

void unitcall_cancel(struct unitcall *call)
{
	struct unitlink *link = call->link;

	if (!link)
		return;
	finish(call);
	send_next(link);
}

/* ---- signals ---- */

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct unitlink *link = userdata;
	const char *path = sd_bus_message_get_path(m);

	(void)error;
	if (path && link->on_unit_changed && is_systemds(link, m))
		link->on_unit_changed(watches_of(link, path), path);
	return 0;
}

static int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct unitlink *link = userdata;
	const char *path, *unit, *result;
	uint32_t id;

	(void)error;
	if (link->on_job_removed && is_systemds(link, m) &&
	    sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) >= 0)
		link->on_job_removed(&link->jobs, path, result);
	return 0;
}

static void ask_all(struct unitlink *link)
{
	for (unsigned i = 0; link->on_unit_changed && i < BUCKETS; i++)
		link->on_unit_changed(&link->watches[i], NULL);
	if (link->on_return)
		link->on_return(&link->jobs);
}

/* ---- subscription: without it systemd sends no signals ---- */

static int subscribe(struct unitlink *link);

static int on_subscribe_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	return subscribe(userdata);
}

static int subscribe_later(struct unitlink *link)
{
	sd_event *event = sd_bus_get_event(link->bus);

	link->subscribe_source = sd_event_source_disable_unref(link->subscribe_source);
	if (!event)
		return 0;
	return sd_event_add_time_relative(event, &link->subscribe_source, CLOCK_MONOTONIC,
					  unitlink_delay(&link->subscribe_delay), USEC_PER_MSEC,
					  on_subscribe_due, link);
}

static void on_subscribed(sd_bus_message *answer, int error, void *userdata)
{
	struct unitlink *link = userdata;
	bool failed_before = link->subscribe_delay;

	if (error &&
	    !(answer && sd_bus_message_is_method_error(answer, SYSTEMD ".AlreadySubscribed"))) {
		subscribe_later(link);
		return;
	}
	link->subscribe_delay = 0;
	if (failed_before)
		ask_all(link);
}

static int subscribe(struct unitlink *link)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	unitcall_cancel(&link->subscription);
	r = sd_bus_message_new_method_call(link->bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					   "Subscribe");
	link->subscription.urgent = true;
	if (r >= 0)
		r = unitcall_send(&link->subscription, link, m, on_subscribed, link);
	return r < 0 ? subscribe_later(link) : 0;
}

/* systemd has a new connection to the bus: it does not know of us, and has told us nothing
 * meanwhile. */
static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct unitlink *link = userdata;
	const char *name, *before, *now;

	(void)error;
	/* anybody may send a signal to us alone, whatever the match says */
	if (strcmp(sd_bus_message_get_sender(m) ?: "", "org.freedesktop.DBus"))
		return 0;
	if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0 || !now[0])
		return 0;
	free(link->owner);
	link->owner = strdup(now);
	subscribe(link);
	ask_all(link);
	return 0;
}

/* ---- the object ---- */

static int add_matches(struct unitlink *link)
{
	int r = sd_bus_add_match_async(link->bus, &link->owner_match, OWNER_CHANGED,
				       on_owner_changed, NULL, link);

	if (r >= 0)
		r = sd_bus_add_match_async(link->bus, &link->changed_match, UNIT_CHANGED,
					   on_changed, NULL, link);
	if (r >= 0)
		r = sd_bus_match_signal_async(link->bus, &link->removed_match, SYSTEMD,
					      SYSTEMD_PATH, SYSTEMD_MANAGER, "JobRemoved",
					      on_removed, NULL, link);
	return r;
}

static struct unitlink *find(const sd_bus *bus)
{
	struct unitlink *link;

	LIST_FOREACH (link, &links, entry)
		if (link->bus == bus)
			return link;
	return NULL;
}

bool unitlink_hears(sd_bus *bus, sd_bus_message *signal)
{
	const struct unitlink *link = find(bus);

	return link && is_systemds(link, signal);
}

static struct unitlink *unitlink_new(sd_bus *bus)
{
	struct unitlink *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->bus = sd_bus_ref(bus);
	link->refs = 1;
	TAILQ_INIT(&link->urgent);
	TAILQ_INIT(&link->ordinary);
	LIST_INSERT_HEAD(&links, link, entry);
	if (add_matches(link) < 0 || subscribe(link) < 0)
		return unitlink_unref(link);
	return link;
}

struct unitlink *unitlink_ref(sd_bus *bus)
{
	struct unitlink *link = find(bus);

	if (!link)
		return unitlink_new(bus);
	link->refs++;
	return link;
}

struct unitlink *unitlink_unref(struct unitlink *link)
{
	if (!link || --link->refs)
		return NULL;
	LIST_REMOVE(link, entry);
	if (link->subscription.link)
		finish(&link->subscription);
	sd_event_source_disable_unref(link->subscribe_source);
	sd_bus_slot_unref(link->changed_match);
	sd_bus_slot_unref(link->removed_match);
	sd_bus_slot_unref(link->owner_match);
	sd_bus_unref(link->bus);
	free(link->owner);
	free(link);
	return NULL;
}
