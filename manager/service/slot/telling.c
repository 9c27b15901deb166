// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/telling.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-event.h>

#include "system/journal.h"
#include "system/unit/units.h"
#include "system/unit/unitsignal.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"

/* A server that is ready before it handles its signals: how long it may take, how often it is
 * looked at. */
#define HANDLER_TIME  (5 * USEC_PER_SEC)
#define HANDLER_EVERY (20 * USEC_PER_MSEC)

struct telling {
	sd_bus *bus;
	struct role_action action;
	char service[SERVICE_NAME_MAX];
	char unit[UNIT_NAME_MAX]; /* to be signalled, or started */
	enum role_change role;
	unsigned slot;
	int other;
	pid_t main_pid;
	uint32_t uid;
	uint64_t begun; /* now_usec() */
	sd_event_source *timer;
	struct unit_signal *signal;
	struct unit_job *job;
	bool ended;
};

DEFINE_CLEANUP(struct telling, telling_free)

struct telling *telling_free(struct telling *telling)
{
	if (!telling)
		return NULL;
	sd_event_source_disable_unref(telling->timer);
	unit_signal_free(telling->signal);
	unit_job_free(telling->job);
	sd_bus_unref(telling->bus);
	free(telling);
	return NULL;
}

bool telling_has_ended(const struct telling *telling)
{
	return telling->ended;
}

bool telling_is_sent(const struct telling *telling)
{
	return telling->ended || (telling->job && unit_job_is_made(telling->job));
}

bool telling_is_held(const struct telling *telling)
{
	return telling->timer && !telling->signal && !telling->ended;
}

/* ---- the end ---- */

static const char *news_of(enum role_change role)
{
	return role == ROLE_PROMOTE ? "that it is the active one" : "that another one is active";
}

static void log_end(struct telling *telling, const char *outcome, int priority,
		    const char *sentence)
{
	bool promoted = telling->role == ROLE_PROMOTE;
	struct journal_scope scope = {telling->service, telling->slot, priority};
	struct journal_deed deed = {
		.verb = role_change_to_string(telling->role),
		.outcome = outcome,
		.from = promoted ? telling->other : (int)telling->slot,
		.to = promoted ? (int)telling->slot : telling->other,
		.by = {.uid = telling->uid},
		.duration_usec = now_usec() - telling->begun,
	};

	telling->ended = true;
	journal_log_deed(JOURNAL_ROLE, &scope, &deed, "%s", sentence);
}

static void succeed(struct telling *telling)
{
	char name[ROLE_SIGNAL_MAX];
	struct problem sentence;

	if (telling->action.means == ROLE_BY_SIGNAL)
		problem_set(&sentence, 0,
			    "%s: slot %u was told %s: %s was sent to its main process",
			    telling->service, telling->slot, news_of(telling->role),
			    role_signal_name(telling->action.signal, name));
	else
		problem_set(&sentence, 0, "%s: slot %u was told %s: %s was started",
			    telling->service, telling->slot, news_of(telling->role), telling->unit);
	log_end(telling, "done", LOG_INFO, sentence.text);
}

/* `reason`: why, and what to do about it. */
static void fail(struct telling *telling, const char *reason)
{
	char name[ROLE_SIGNAL_MAX];
	struct problem sentence;

	problem_set(&sentence, 0, "%s: slot %u was not told %s, %s=%s: %.400s", telling->service,
		    telling->slot, news_of(telling->role), role_key(telling->role),
		    telling->action.means == ROLE_BY_SIGNAL
			    ? role_signal_name(telling->action.signal, name)
			    : telling->action.unit,
		    reason);
	log_end(telling, "failed", LOG_WARNING, sentence.text);
}

/* ---- by a unit ---- */

static void on_started(const char *result, const struct problem *problem, void *userdata)
{
	struct telling *telling = userdata;
	struct problem reason;

	telling->job = NULL;
	if (!strcmp(result, "done")) {
		succeed(telling);
		return;
	}
	if (problem)
		problem_set(&reason, 0, "%s Correct the setting, then run: systemctl reload hsd",
			    problem->text);
	else
		problem_set(&reason, 0, "the start of %s ended as \"%s\"; see journalctl -u %s",
			    telling->unit, result, telling->unit);
	fail(telling, reason.text);
}

static void start_unit(struct telling *telling)
{
	struct problem reason;
	int r = role_unit(&telling->action, telling->service, telling->slot, telling->unit);

	if (!r)
		r = unit_job_new(telling->bus, UNIT_START, telling->unit, on_started, telling,
				 &telling->job);
	if (r < 0) {
		problem_set(&reason, r, "%s",
			    r == -EINVAL ? "with this service's name it is no "
					   "name of a unit; choose another"
					 : strerror(-r));
		fail(telling, reason.text);
	}
}

/* ---- by a signal ---- */

static void on_signalled(const char *error, bool gone, void *userdata)
{
	struct telling *telling = userdata;

	telling->signal = NULL; /* frees itself */
	/* it died meanwhile: then nobody has to be told */
	if (error && telling->role == ROLE_DEMOTE && gone)
		telling->ended = true;
	else if (error)
		fail(telling, error);
	else
		succeed(telling);
}

static void send_signal(struct telling *telling)
{
	int r = unit_signal_new(telling->bus, telling->unit, telling->action.signal, on_signalled,
				telling, &telling->signal);

	if (r < 0)
		fail(telling, strerror(-r));
}

static uint64_t mask_in(const char *status, const char *field)
{
	const char *line = strstr(status, field);
	uint64_t mask = 0;

	if (line)
		sscanf(line + strlen(field), "%" SCNx64, &mask);
	return mask;
}

/* Whether it is not the process's end: it catches or ignores it, or fetches it by sigwait(3) or
 * signalfd(2), for which it is blocked; or the kernel passes over it. */
static bool is_harmless(pid_t pid, int signal)
{
	_cleanup_(freep) char *path = format("/proc/%d/status", pid), *status = NULL;

	if (signal == SIGCHLD || signal == SIGCONT || signal == SIGURG || signal == SIGWINCH)
		return true;
	/* one that is gone is systemd's to report */
	if (!path || file_read(path, 65536, &status) < 0)
		return true;
	return (mask_in(status, "\nSigCgt:") | mask_in(status, "\nSigIgn:") |
		mask_in(status, "\nSigBlk:")) >>
		       (signal - 1) &
	       1;
}

static void refuse_signal(struct telling *telling)
{
	struct problem reason;

	problem_set(&reason, 0,
		    "its main process, %d, does not handle this signal and would be ended by it; "
		    "let the server handle it before it reports ready, or name another signal or a "
		    "unit",
		    telling->main_pid);
	fail(telling, reason.text);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct telling *telling = userdata;

	if (is_harmless(telling->main_pid, telling->action.signal))
		send_signal(telling);
	else if (now_usec() - telling->begun > HANDLER_TIME)
		refuse_signal(telling);
	else if (sd_event_source_set_time(source, usec + HANDLER_EVERY) >= 0)
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static void try_signal(struct telling *telling)
{
	name_unit(telling->service, telling->slot, telling->unit, sizeof(telling->unit));
	if (telling->main_pid <= 0)
		fail(telling, "systemd knows no main process of its unit; set Type= or PIDFile= so "
			      "that it does, or name a unit");
	else if (is_harmless(telling->main_pid, telling->action.signal))
		send_signal(telling);
	else if (sd_event_add_time_relative(sd_bus_get_event(telling->bus), &telling->timer,
					    CLOCK_MONOTONIC, HANDLER_EVERY, USEC_PER_MSEC, on_look,
					    telling) < 0)
		refuse_signal(telling);
}

int telling_new(sd_bus *bus, const struct telling_order *order, struct telling **ret_telling)
{
	struct telling *telling = calloc(1, sizeof(*telling));

	if (!telling)
		return -ENOMEM;
	telling->bus = sd_bus_ref(bus);
	telling->action = *order->action;
	snprintf(telling->service, sizeof(telling->service), "%s", order->service);
	telling->role = order->role;
	telling->slot = order->slot;
	telling->other = order->other;
	telling->main_pid = order->main_pid;
	telling->uid = order->uid;
	telling->begun = now_usec();
	if (telling->action.means == ROLE_BY_UNIT)
		start_unit(telling);
	else
		try_signal(telling);
	*ret_telling = telling;
	return 0;
}
