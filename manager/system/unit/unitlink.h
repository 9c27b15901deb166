/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all watches and jobs of one connection to the bus share: one match rule for the units and
 * one for the jobs, however many there are, and one queue of calls. A bus allows a connection so
 * many rules and unanswered calls, and ends one that wants more.
 *
 * For the files that make up units.h alone.
 */
#pragma once

#include <sys/queue.h>
#include <systemd/sd-bus.h>

#include "util/macro.h"

#define SYSTEMD		"org.freedesktop.systemd1"
#define SYSTEMD_PATH	"/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT	"org.freedesktop.systemd1.Unit"
#define SYSTEMD_JOB	"org.freedesktop.systemd1.Job"
#define PROPERTIES	"org.freedesktop.DBus.Properties"

struct unitlink;
struct unit_job;
struct unit_watch;

/* `answer` is NULL, and `error` a negative errno, when the call could not be sent or was answered
 * with an error; with an answer of systemd's, `answer` is it also then. */
typedef void (*unitcall_fn)(sd_bus_message *answer, int error, void *userdata);

/* A call of systemd: waits for its turn, then for the answer. All 0: neither. */
struct unitcall {
	struct unitlink *link; /* NULL: nothing waits */
	sd_bus_message *message;
	sd_bus_slot *slot; /* NULL: it waits for its turn */
	bool urgent;
	unitcall_fn on_answer;
	void *userdata;
	TAILQ_ENTRY(unitcall) entry;
};

/* Watches by the path of their unit, and the jobs that are under way. */
LIST_HEAD(unit_watches, unit_watch);
LIST_HEAD(unit_jobs, unit_job);

/* The one of this bus; made with the first who wants it. NULL: no memory. */
struct unitlink *unitlink_ref(sd_bus *bus);
struct unitlink *unitlink_unref(struct unitlink *link);

/* Sends the message when it is its turn: the urgent ones, for which somebody waits, before the
 * others. Negative errno: then there will be no answer. */
int unitcall_send(struct unitcall *call, struct unitlink *link, sd_bus_message *message,
		  unitcall_fn on_answer, void *userdata);
/* It waits, and is to be before those that are not urgent. */
void unitcall_hurry(struct unitcall *call);
/* Sends one that waits for its turn out of turn, and wants no answer: it is to be cancelled then.
 */
void unitcall_send_unheard(struct unitcall *call);
/* There will be no answer. Fine for one that waits for nothing. */
void unitcall_cancel(struct unitcall *call);

static inline bool unitcall_is_sent(const struct unitcall *call)
{
	return call->slot;
}

static inline bool unitcall_waits(const struct unitcall *call)
{
	return call->link && !call->slot;
}

sd_bus *unitlink_bus(const struct unitlink *link);
/* Whether a signal comes from systemd, as far as a connection of ours knows it. */
bool unitlink_hears(sd_bus *bus, sd_bus_message *signal);

/* Those of the list that have this path may have changed; with `path` NULL all of them. */
typedef void (*unit_watches_fn)(struct unit_watches *watches, const char *path);
/* systemd has told of the end of a job. */
typedef void (*unit_jobs_removed_fn)(struct unit_jobs *jobs, const char *path, const char *result);
/* systemd has been away: the end of some jobs may have gone unheard. */
typedef void (*unit_jobs_check_fn)(struct unit_jobs *jobs);

/* The list that watches of the unit with this path belong in, and who is told from then on; one for
 * all lists. systemd tells of units from the first question on. */
struct unit_watches *unitlink_watches(struct unitlink *link, const char *path,
				      unit_watches_fn on_changed);
struct unit_jobs *unitlink_jobs(struct unitlink *link, unit_jobs_removed_fn on_removed,
				unit_jobs_check_fn on_return);

/* How long to wait before a question that failed is asked again: set it to 0 when one has not. */
uint64_t unitlink_delay(uint64_t *delay);
