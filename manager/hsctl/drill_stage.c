// SPDX-License-Identifier: GPL-2.0-or-later
/* What scenarios are made of: looking, waiting, harming, and putting back. */
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "hsctl/client.h"
#include "hsctl/drill.h"
#include "hsctl/json.h"
#include "hsctl/verb.h"
#include "system/units.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"

#define LOOK_EVERY_MS 10
#define JOB_TIMEOUT   (120 * USEC_PER_SEC)

volatile sig_atomic_t drill_interrupted;

/* ---- what is written down ---- */

static uint64_t now_of(const struct drill *drill)
{
	return drill->prober ? drillprober_now(drill->prober) : 0;
}

static void mark(struct drill *drill, const char *text)
{
	if (drill->run)
		(void)drill_record_mark(&drill->run->record, now_of(drill), "%s", text);
}

void drill_mark(struct drill *drill, const char *template, ...)
{
	struct problem text;
	va_list args;

	va_start(args, template);
	vsnprintf(text.text, sizeof(text.text), template, args);
	va_end(args);
	mark(drill, text.text);
}

void drill_mark_harm(struct drill *drill, const char *template, ...)
{
	struct problem text;
	va_list args;

	va_start(args, template);
	vsnprintf(text.text, sizeof(text.text), template, args);
	va_end(args);
	mark(drill, text.text);
	if (drill->run && !drill->run->record.broken_at)
		drill->run->record.broken_at = MAX(now_of(drill), 1U);
}

void drill_break(struct drill *drill, const char *template, ...)
{
	va_list args;

	if (drill->broken.text[0])
		return;
	va_start(args, template);
	vsnprintf(drill->broken.text, sizeof(drill->broken.text), template, args);
	va_end(args);
}

/* ---- looking ---- */

static void read_view(json_object *status, struct drill_view *view)
{
	json_object *slots = json_array(status, "slots");

	*view = (struct drill_view) {
		.active = json_number(status, "active", HS_SLOT_NONE),
		.n = MIN(json_count(slots), (size_t)HS_SLOTS_MAX),
	};
	for (unsigned i = 0; i < view->n; i++) {
		json_object *slot = json_object_array_get_idx(slots, i);

		snprintf(view->states[i], sizeof(view->states[i]), "%.23s",
			 json_text(slot, "state"));
		view->unhealthy[i] = !strcmp(json_text(slot, "health"), "unhealthy");
	}
}

static void note_changes(struct drill *drill, const struct drill_view *view)
{
	const struct drill_view *seen = &drill->seen;
	struct drill_record *record = drill->run ? &drill->run->record : NULL;

	if (seen->n && seen->active != view->active && view->active < HS_SLOTS_MAX) {
		drill_mark(drill, "slot %u is active", view->active);
		if (record && record->broken_at && !record->new_active_at)
			record->new_active_at = now_of(drill);
	}
	for (unsigned i = 0; i < MIN(seen->n, view->n); i++)
		if (strcmp(seen->states[i], view->states[i]))
			drill_mark(drill, "slot %u is %s", i, view->states[i]);
}

int drill_look(struct drill *drill)
{
	_cleanup_(json_object_putp) json_object *status = NULL;
	_cleanup_(reply_done) struct reply reply = {0};
	struct drill_view view;
	bool direct;

	if (verb_describe(drill->arguments, drill->service, &reply, &direct)) {
		drill_break(drill, "its status cannot be had: %.300s", reply.problem.text);
		return -EIO;
	}
	status = json_parse(reply.text);
	read_view(status, &view);
	note_changes(drill, &view);
	drill->seen = view;
	return 0;
}

bool drill_wait(struct drill *drill, drill_condition until, unsigned slot, uint64_t usec,
		const char *or_else)
{
	uint64_t end = now_usec() + usec;

	while (!drill_interrupted) {
		/* hsd may be away for a moment: that alone is no reason to give up */
		struct problem before = drill->broken;

		if (!drill_look(drill) && until(drill, slot))
			return true;
		if (now_usec() >= end)
			break;
		drill->broken = before;
		poll(NULL, 0, LOOK_EVERY_MS);
	}
	if (!drill_interrupted && or_else)
		drill_break(drill, "%s", or_else);
	return false;
}

static bool never(const struct drill *drill, unsigned slot)
{
	(void)drill;
	(void)slot;
	return false;
}

void drill_pass_time(struct drill *drill, uint64_t usec)
{
	struct problem before = drill->broken;

	drill_wait(drill, never, 0, usec, NULL);
	drill->broken = before;
}

bool drill_is_ready(const struct drill *drill, unsigned slot)
{
	return slot < drill->seen.n && !strcmp(drill->seen.states[slot], "ready") &&
	       !drill->seen.unhealthy[slot];
}

bool drill_is_active(const struct drill *drill, unsigned slot)
{
	return drill->seen.active == slot;
}

bool drill_is_not_active(const struct drill *drill, unsigned slot)
{
	return drill->seen.active != slot;
}

bool drill_all_ready(const struct drill *drill, unsigned slot)
{
	(void)slot;
	for (unsigned i = 0; i < drill->before.n; i++)
		if (!strcmp(drill->before.states[i], "ready") && !drill_is_ready(drill, i))
			return false;
	return true;
}

unsigned drill_standby(const struct drill *drill)
{
	for (unsigned i = 0; i < drill->seen.n; i++)
		if (i != drill->seen.active && drill_is_ready(drill, i))
			return i;
	return HS_SLOT_NONE;
}

/* ---- acting ---- */

int drill_kill(struct drill *drill, unsigned slot, int signal)
{
	char unit[UNIT_NAME_MAX];
	struct problem problem = {0};
	int r;

	if (signal == SIGSTOP)
		drill->halted |= 1U << slot;
	else if (signal == SIGCONT)
		drill->halted &= ~(1U << slot);
	name_unit(drill->service, slot, unit, sizeof(unit));
	r = units_kill(drill->systemd, unit, signal, &problem);
	if (r < 0 && signal != SIGCONT)
		drill_break(drill, "%.400s", problem.text);
	return r;
}

int drill_switch(struct drill *drill, unsigned to)
{
	_cleanup_(reply_done) struct reply reply = {0};
	struct client_call call = {
		.service = drill->service,
		.method = "Switchover",
		.timeout_usec = JOB_TIMEOUT,
	};

	if (client_ask(drill->arguments, &call, &reply, "itts", (int)to, USEC_INFINITY, UINT64_C(0),
		       "keep") == CLIENT_ANSWERED)
		return 0;
	drill_break(drill, "the switchover to slot %u failed: %.300s", to, reply.problem.text);
	return -EIO;
}

#define SPOIL_NAME "50-hotstandby-drill.conf"

int drill_spoil(struct drill *drill, unsigned slot, bool spoil)
{
	_cleanup_(freep) char *folder = NULL, *path = NULL;
	char unit[UNIT_NAME_MAX];
	int r;

	name_unit(drill->service, slot, unit, sizeof(unit));
	folder = format("/run/systemd/system/%s.d", unit);
	path = format("%s/" SPOIL_NAME, folder ?: "");
	if (!folder || !path)
		return -ENOMEM;
	if (spoil) {
		drill->spoilt = true;
		r = make_folders(folder, 0755);
		if (!r)
			r = file_write(path,
				       "# A drill of hotstandby: a version that does not start.\n"
				       "[Service]\nExecStartPre=/bin/sh -c \"exit 1\"\n",
				       0644);
	} else {
		r = unlink(path) < 0 && errno != ENOENT ? -errno : 0;
		rmdir(folder);
		drill->spoilt = false;
	}
	if (!r)
		r = sd_bus_call_method(
			drill->systemd, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
			"org.freedesktop.systemd1.Manager", "Reload", NULL, NULL, "");
	if (r < 0)
		drill_break(drill, "the drop-in %s could not be %s: %s", path,
			    spoil ? "made" : "removed", strerror(-r));
	return r < 0 ? r : 0;
}

/* ---- putting back ---- */

static bool ran_before(const struct drill *drill, unsigned slot)
{
	return slot < drill->before.n && !strcmp(drill->before.states[slot], "ready");
}

static void start_again(struct drill *drill, unsigned slot)
{
	struct problem problem = {0};
	char unit[UNIT_NAME_MAX];

	name_unit(drill->service, slot, unit, sizeof(unit));
	if (units_run_job(drill->systemd, UNIT_START, unit, JOB_TIMEOUT, &problem) < 0)
		drill_break(drill, "slot %u could not be started again: %.300s", slot,
			    problem.text);
}

void drill_put_back(struct drill *drill)
{
	int interrupted = drill_interrupted;

	/* this much is owed also after an interrupt; a second one ends it, see verb_drill() */
	drill_interrupted = 0;
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (drill->halted & (1U << i))
			drill_kill(drill, i, SIGCONT);
	for (unsigned i = 0; drill->spoilt && i < drill->before.n; i++)
		if (i != drill->before.active)
			drill_spoil(drill, i, false);
	for (unsigned i = 0; i < drill->before.n; i++)
		if (ran_before(drill, i) && (drill_look(drill) < 0 || !drill_is_ready(drill, i)))
			start_again(drill, i);
	if (drill_wait(drill, drill_all_ready, 0, JOB_TIMEOUT,
		       "not all slots that were ready before are so again") &&
	    drill->before.active < HS_SLOTS_MAX && drill->seen.active != drill->before.active)
		drill_switch(drill, drill->before.active);
	drill_interrupted = interrupted;
}
