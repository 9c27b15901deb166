// SPDX-License-Identifier: GPL-2.0-or-later
/* What scenarios are made of: looking, waiting and harming. */
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "hsctl/client.h"
#include "hsctl/drill/drill.h"
#include "hsctl/json.h"
#include "hsctl/standin.h"
#include "hsctl/verb/verb.h"
#include "system/unit/unitload.h"
#include "util/clock.h"
#include "util/files.h"
#include "util/macro.h"

/* The word is looked at all the time, the rest now and then, for hsd has to put it together. */
#define WORD_EVERY_MS 2
#define LOOK_EVERY    (50 * USEC_PER_MSEC)
#define LOOK_TIMEOUT  (5 * USEC_PER_SEC)
#define JOB_TIMEOUT   (120 * USEC_PER_SEC)

volatile sig_atomic_t drill_interrupted;

bool drill_is_over(const struct drill *drill)
{
	return drill_interrupted && !drill->putting_back;
}

int drill_open(struct drill *drill)
{
	struct problem problem = {0};

	if (netns_join_init() < 0)
		complain("the network namespace of PID 1 cannot be entered: %m");
	if (direct_open(drill->service, &drill->direct, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	if (!drill->direct.systemd) {
		complain("systemd cannot be asked; is this a booted system?");
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

void drill_close(struct drill *drill)
{
	drill->prober = drillprober_free(drill->prober);
	sd_bus_close_unref(drill->bus);
	drill->bus = NULL;
	direct_close(&drill->direct);
}

/* ---- what is written down ---- */

static uint64_t now_of(const struct drill *drill)
{
	return drill->prober ? drillprober_now(drill->prober) : 0;
}

static void mark(struct drill *drill, bool ours, const char *template, va_list args)
{
	struct drill_mark mark = {.at = now_of(drill), .ours = ours};

	if (!drill->run)
		return;
	vsnprintf(mark.text, sizeof(mark.text), template, args);
	(void)drill_record_mark(&drill->run->record, &mark);
}

void drill_mark(struct drill *drill, const char *template, ...)
{
	va_list args;

	va_start(args, template);
	mark(drill, true, template, args);
	va_end(args);
}

void drill_mark_harm(struct drill *drill, uint32_t slots, const char *template, ...)
{
	va_list args;

	drill->harmed |= slots;
	va_start(args, template);
	mark(drill, true, template, args);
	va_end(args);
	if (drill->run && !drill->run->record.broken_at && drill->run->record.n_marks)
		drill->run->record.broken_at =
			MAX(drill->run->record.marks[drill->run->record.n_marks - 1].at, 1U);
}

void drill_mark_certain(struct drill *drill)
{
	if (drill->run)
		drill->run->record.certain_at = now_of(drill);
}

/* What the service did. */
_printf_(2, 3) static void mark_seen(struct drill *drill, const char *template, ...)
{
	va_list args;

	va_start(args, template);
	mark(drill, false, template, args);
	va_end(args);
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

static void read_slot(json_object *slot, unsigned i, struct drill_view *view)
{
	const char *health = json_text(slot, "health"), *reason = json_text(slot, "health_reason");

	snprintf(view->states[i], sizeof(view->states[i]), "%.23s", json_text(slot, "state"));
	view->unhealthy[i] = !strcmp(health, "unhealthy");
	view->unproven[i] = !strcmp(health, "unknown");
	if (!view->unhealthy[i])
		reason = json_text(slot, "problem");
	snprintf(view->problems[i], sizeof(view->problems[i]), "%.150s", reason);
}

static void read_view(json_object *status, struct drill_view *view)
{
	json_object *slots = json_array(status, "slots");

	*view = (struct drill_view) {
		.manager = json_is_true(status, "manager"),
		.active = json_number(status, "active", HS_SLOT_NONE),
		.n = MIN(json_count(slots), (size_t)HS_SLOTS_MAX),
		.canary = json_number(status, "canary", HS_SLOT_NONE) != HS_SLOT_NONE,
		.parked = json_is_true(status, "park"),
		.spread = json_text(status, "by")[0],
	};
	snprintf(view->change, sizeof(view->change), "%.31s", json_text(status, "change"));
	for (unsigned i = 0; i < view->n; i++)
		read_slot(json_object_array_get_idx(slots, i), i, view);
}

static void note_sight(struct drill *drill, unsigned slot)
{
	struct drill_sight sight = {
		.at = now_of(drill),
		.slot = slot,
		.active = drill->seen.active == slot,
		.ready = drill_is_ready(drill, slot),
	};

	if (!drill->run)
		return;
	snprintf(sight.state, sizeof(sight.state), "%s",
		 drill->seen.unhealthy[slot] ? "unhealthy" : drill->seen.states[slot]);
	(void)drill_record_sight(&drill->run->record, &sight);
}

static void note_active(struct drill *drill, unsigned active)
{
	unsigned before = drill->seen.active;
	struct drill_record *record = drill->run ? &drill->run->record : NULL;

	if (active == before)
		return;
	drill->seen.active = active;
	if (before < drill->seen.n)
		note_sight(drill, before);
	if (active >= drill->seen.n)
		return;
	note_sight(drill, active);
	mark_seen(drill, "slot %u is active", active);
	if (record && record->broken_at && !record->new_active_at)
		record->new_active_at = now_of(drill);
}

/* What nothing is done to must stay as it is. */
static void check_bystander(struct drill *drill, unsigned slot)
{
	const struct drill_view *seen = &drill->seen;
	bool lost = strcmp(seen->states[slot], "ready") || seen->unhealthy[slot];

	if (lost && drill->before.ready & ~drill->harmed & (1U << slot))
		drill_break(drill, "slot %u, to which nothing was done, is %s%s%s", slot,
			    seen->unhealthy[slot] ? "unhealthy" : seen->states[slot],
			    seen->problems[slot][0] ? ": " : "", seen->problems[slot]);
}

static void note_slots(struct drill *drill, const struct drill_view *old)
{
	const struct drill_view *seen = &drill->seen;

	for (unsigned i = 0; i < MIN(old->n, seen->n); i++) {
		bool changed = strcmp(old->states[i], seen->states[i]);

		if (changed)
			mark_seen(drill, "slot %u is %s", i, seen->states[i]);
		if (old->unhealthy[i] != seen->unhealthy[i])
			mark_seen(drill, "slot %u is %s", i,
				  seen->unhealthy[i] ? "unhealthy" : "healthy");
		if (changed || old->unhealthy[i] != seen->unhealthy[i])
			note_sight(drill, i);
		check_bystander(drill, i);
	}
	if (old->manager != seen->manager)
		mark_seen(drill, seen->manager ? "hsd is back" : "hsd is gone");
}

/* hsd's answer, or ours where there is none. */
static int describe(struct drill *drill, struct reply *reply)
{
	struct client_call call = {
		.service = drill->service,
		.method = "Describe",
		.timeout_usec = LOOK_TIMEOUT,
	};
	enum client_answer answer = CLIENT_ABSENT;

	if (drill->bus || !client_open(drill->arguments, &drill->bus, &reply->problem))
		answer = client_call(drill->bus, &call, reply, "");
	if (answer == CLIENT_ANSWERED)
		return EXIT_DONE;
	if (answer != CLIENT_ABSENT && answer != CLIENT_LOST)
		return EXIT_FAILED;
	sd_bus_close_unref(drill->bus);
	drill->bus = NULL;
	reply_done(reply);
	*reply = (struct reply) {0};
	return standin_describe(drill->service, reply);
}

int drill_look(struct drill *drill)
{
	_cleanup_(json_object_putp) json_object *status = NULL;
	_cleanup_(reply_done) struct reply reply = {0};
	struct drill_view view, old = drill->seen;

	drill->looked = now_usec();
	if (describe(drill, &reply)) {
		drill_break(drill, "its status cannot be had: %.300s", reply.problem.text);
		return -EIO;
	}
	status = json_parse(reply.text);
	/* a hsd that has just come back has to ask systemd first */
	if (json_object_object_get_ex(status, "known", NULL) && !json_is_true(status, "known"))
		return 0;
	read_view(status, &view);
	note_active(drill, view.active);
	drill->seen = view;
	if (old.n)
		note_slots(drill, &old);
	return 0;
}

void drill_begin_looking(struct drill *drill)
{
	for (unsigned i = 0; i < drill->seen.n; i++)
		note_sight(drill, i);
}

/* ---- waiting ---- */

static void look_at_word(struct drill *drill)
{
	unsigned active = hs_word_active(plane_word(drill->direct.plane));

	if (active == drill->seen.active)
		return;
	note_active(drill, active);
	drill->looked = 0; /* more may have changed */
}

static void step(struct drill *drill)
{
	while (sd_bus_process(drill->direct.systemd, NULL) > 0)
		;
	look_at_word(drill);
	if (now_usec() - drill->looked < LOOK_EVERY) {
		poll(NULL, 0, WORD_EVERY_MS);
		return;
	}
	drill_look(drill);
}

bool drill_wait(struct drill *drill, drill_condition until, unsigned slot, uint64_t usec,
		const char *or_else)
{
	uint64_t end = now_usec() + usec;

	drill->looked = 0; /* not by what was seen before */
	while (!drill_is_over(drill)) {
		step(drill);
		if (until(drill, slot))
			return true;
		if (now_usec() >= end)
			break;
	}
	if (!drill_is_over(drill) && or_else)
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
	drill_wait(drill, never, 0, usec, NULL);
}

struct job_end {
	bool ended;
	char result[32];
	struct problem problem;
};

static void on_job_end(const char *result, const struct problem *problem, void *userdata)
{
	struct job_end *end = userdata;

	end->ended = true;
	snprintf(end->result, sizeof(end->result), "%s", result);
	if (problem)
		end->problem = *problem;
}

bool drill_job(struct drill *drill, enum unit_action action, unsigned slot)
{
	static const char *const words[] = {
		[UNIT_START] = "started", [UNIT_STOP] = "stopped", [UNIT_RESTART] = "restarted"};
	uint64_t deadline = now_usec() + JOB_TIMEOUT;
	struct job_end end = {0};
	struct unit_job *job = NULL;
	char unit[UNIT_NAME_MAX];
	int r;

	name_unit(drill->service, slot, unit, sizeof(unit));
	r = unit_job_new(drill->direct.systemd, action, unit, on_job_end, &end, &job);
	while (!r && !end.ended && !drill_is_over(drill) && now_usec() < deadline)
		step(drill);
	if (!r && !end.ended)
		unit_job_free(job);
	if (end.ended && !strcmp(end.result, "done"))
		return true;
	if (!drill_is_over(drill))
		drill_break(drill, "slot %u could not be %s: %s%s%.300s", slot, words[action],
			    r < 0	? strerror(-r)
			    : end.ended ? end.result
					: "it takes too long",
			    end.problem.text[0] ? ": " : "", end.problem.text);
	return false;
}

bool drill_is_ready(const struct drill *drill, unsigned slot)
{
	const struct drill_view *seen = &drill->seen;

	return slot < seen->n && !strcmp(seen->states[slot], "ready") && !seen->unhealthy[slot] &&
	       !seen->unproven[slot];
}

bool drill_is_active(const struct drill *drill, unsigned slot)
{
	return drill->seen.active == slot;
}

bool drill_is_not_active(const struct drill *drill, unsigned slot)
{
	return drill->seen.active != slot;
}

bool drill_has_manager(const struct drill *drill, unsigned slot)
{
	(void)slot;
	return drill->seen.manager;
}

bool drill_is_idle(const struct drill *drill, unsigned slot)
{
	return drill_has_manager(drill, slot) && !drill->seen.change[0];
}

bool drill_is_whole(const struct drill *drill, unsigned slot)
{
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (drill->before.ready & (1U << i) && !drill_is_ready(drill, i))
			return false;
	return drill_is_idle(drill, slot);
}

bool drill_is_down(const struct drill *drill, unsigned slot)
{
	const char *state = drill->seen.states[slot];

	return !strcmp(state, "down") || !strcmp(state, "failed");
}

bool drill_is_not_ready(const struct drill *drill, unsigned slot)
{
	return !drill_is_ready(drill, slot);
}

static unsigned standby_down(const struct drill *drill)
{
	unsigned standby = HS_SLOT_NONE;

	for (unsigned i = drill->seen.n; i-- > 0;) {
		if (i == drill->seen.active)
			continue;
		if (!drill_is_down(drill, i))
			return HS_SLOT_NONE;
		standby = i;
	}
	return standby;
}

unsigned drill_standby(const struct drill *drill)
{
	if (drill->direct.config.exclusive)
		return standby_down(drill);
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

	name_unit(drill->service, slot, unit, sizeof(unit));
	r = units_kill(drill->direct.systemd, unit, signal, &problem);
	/* who is gone needs not go on */
	if (r < 0 && signal != SIGCONT)
		drill_break(drill, "%.400s", problem.text);
	return r;
}

void drill_call(struct drill *drill, const char *method)
{
	_cleanup_(reply_done) struct reply reply = {0};
	struct client_call call = {
		.service = drill->service,
		.method = method,
		.timeout_usec = LOOK_TIMEOUT,
	};

	(void)client_ask(drill->arguments, &call, &reply, "");
}

int drill_on_progress(const char *json, void *userdata)
{
	(void)json;
	(void)drill_look(userdata);
	return 0;
}

int drill_switch(struct drill *drill, unsigned to)
{
	_cleanup_(reply_done) struct reply reply = {0};
	struct client_call call = {
		.service = drill->service,
		.method = "Switchover",
		.timeout_usec = JOB_TIMEOUT,
		.on_progress = drill_on_progress,
		.userdata = drill,
	};

	if (client_ask(drill->arguments, &call, &reply, "itts", (int)to, USEC_INFINITY, UINT64_C(0),
		       "keep") == CLIENT_ANSWERED)
		return 0;
	drill_break(drill, "the switchover to slot %u failed: %.300s", to, reply.problem.text);
	return -EIO;
}

/* ---- spoiling ---- */

#define SPOIL_NAME "50-hotstandby-drill.conf"

struct spoil_path {
	char folder[UNIT_NAME_MAX + 32], file[UNIT_NAME_MAX + 64];
};

static struct spoil_path spoil_path(const struct drill *drill, unsigned slot)
{
	struct spoil_path path;
	char unit[UNIT_NAME_MAX];

	name_unit(drill->service, slot, unit, sizeof(unit));
	snprintf(path.folder, sizeof(path.folder), "/run/systemd/system/%s.d", unit);
	snprintf(path.file, sizeof(path.file), "%s/" SPOIL_NAME, path.folder);
	return path;
}

static int reload(struct drill *drill)
{
	struct problem problem = {0};
	int r = unitload_anew(drill->direct.systemd, &problem);

	if (r < 0)
		drill_break(drill, "%s", problem.text);
	return r;
}

bool drill_is_spoilt(const struct drill *drill, unsigned slot)
{
	return access(spoil_path(drill, slot).file, F_OK) == 0;
}

int drill_spoil(struct drill *drill, unsigned slot, const char *command)
{
	struct spoil_path path = spoil_path(drill, slot);
	_cleanup_(freep) char *text =
		format("# A drill of hotstandby. It goes away by itself; by hand: hsctl drill %s "
		       "--put-back\n[Service]\nExecStartPre=+%s\n",
		       drill->service, command);
	int r = text ? make_folders(path.folder, 0755) : -ENOMEM;

	if (!r)
		r = file_write(path.file, text, 0644);
	if (r < 0) {
		drill_break(drill, "the drop-in %s cannot be made: %s", path.file, strerror(-r));
		return r;
	}
	return reload(drill);
}

int drill_mend(struct drill *drill, unsigned slot)
{
	struct spoil_path path = spoil_path(drill, slot);

	if (!drill_is_spoilt(drill, slot))
		return 0;
	if (unlink(path.file) < 0) {
		int r = -errno;

		drill_break(drill, "the drop-in %s cannot be removed: %s", path.file, strerror(-r));
		return r;
	}
	rmdir(path.folder); /* unless somebody else has files there */
	return reload(drill) ?: 1;
}
