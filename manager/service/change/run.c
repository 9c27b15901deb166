// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/run.h"

#include <assert.h>
#include <string.h>
#include <syslog.h>

#include "core/ledger.h"
#include "service/slot/instance.h"
#include "util/clock.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct run, run_free)

/* ---- its end ---- */

void run_stop_waiting(struct run *run)
{
	run->job_over = false;
	run->job = unit_job_free(run->job);
	run->smoke = smoke_free(run->smoke);
}

struct run *run_free(struct run *run)
{
	if (!run)
		return NULL;
	run->timer = sd_event_source_disable_unref(run->timer);
	run_stop_waiting(run);
	close_fd(run->lock_fd);
	if (run->kind->next_goes_on)
		run->request =
			request_fail(run->request, REQUEST_LEFT,
				     "hsd stops, or manages this service no longer; the next hsd "
				     "goes on");
	request_free(run->request);
	if (run->kind->done)
		run->kind->done(run);
	free(run->smoke_command);
	free(run);
	return NULL;
}

void run_drop(struct service *service, enum service_work work)
{
	struct run *run = steal_ptr(&service->runs[work]);

	if (work == SERVICE_CHANGE)
		service->settles = false;
	run_free(run);
}

void run_drop_all(struct service *service)
{
	struct run *run;

	while ((run = service->ended)) {
		service->ended = run->next;
		run_free(run);
	}
	for (unsigned i = 0; i < SERVICE_IDLE; i++)
		run_drop(service, i);
}

static void answer(struct run *run)
{
	struct request *request = steal_ptr(&run->request);

	if (request && run->result == RUN_DONE)
		request_done(request, run->kind->outcome(run));
	else
		request_fail(request, run->result == RUN_UNDONE ? REQUEST_UNDONE : REQUEST_FAILED,
			     "%s", run->sentence.text);
}

static const enum ledger_outcome outcomes[] = {
	[RUN_DONE] = LEDGER_DONE, [RUN_UNDONE] = LEDGER_UNDONE, [RUN_FAILED] = LEDGER_FAILED};

/* Before anybody hears of it: who ends right then has counted it. */
static void count_end(const struct run *run)
{
	const struct plane *plane = run->service->plane;
	struct ledger *ledger = plane ? plane_ledger(plane) : NULL;

	if (ledger)
		ledger_change(ledger, ledger_verb_from_string(run->verb), outcomes[run->result],
			      now_usec() - run->begun, now_real_usec());
}

static void log_end(const struct run *run)
{
	struct journal_scope scope = {
		.service = run->service->name,
		.slot = (int)(run->to < HS_SLOTS_MAX ? run->to : run->from),
		.priority = run->result == RUN_DONE ? LOG_NOTICE : LOG_WARNING,
	};
	struct journal_deed deed = {
		.verb = run->verb,
		.outcome = ledger_outcome_to_string(outcomes[run->result]),
		.from = run->from < HS_SLOTS_MAX ? (int)run->from : -1,
		.to = run->to < HS_SLOTS_MAX ? (int)run->to : -1,
		.by = run->by,
		.duration_usec = now_usec() - run->begun,
	};

	journal_log_deed(run->journal, &scope, &deed, "%s", run->sentence.text);
}

static void add_ended(struct run *run)
{
	struct service *service = run->service;
	struct run **last = &service->ended;

	while (*last)
		last = &(*last)->next;
	*last = run;
	service->runs[run->kind->work] = NULL;
	service_post(service, EVENT_CHANGE_ENDED, HS_SLOT_NONE, false);
}

static void end(struct run *run)
{
	run->result = run->kind->describe(run, &run->sentence);
	if (!run->kind->claim || run->kind->claim(run)) {
		count_end(run);
		log_end(run);
	}
	answer(run);
	run->timer = sd_event_source_disable_unref(run->timer);
	run_stop_waiting(run);
	run->lock_fd = close_fd(run->lock_fd);
	if (run->kind->ended)
		run->kind->ended(run);
	add_ended(run);
}

static void tell_whole(struct run *part)
{
	struct run *whole = part->service->runs[SERVICE_UPGRADE];

	if (part->of_upgrade && whole)
		run_go_on(whole, whole->kind->part_ended(whole, part));
}

void run_ended_heard(struct service *service, const struct event *event)
{
	struct run *run;

	(void)event;
	while ((run = service->ended)) {
		service->ended = run->next;
		tell_whole(run);
		run_free(run);
	}
}

/* ---- on its way ---- */

void run_tell(struct run *run)
{
	json_object *step = run ? run->kind->progress(run) : NULL;

	if (step)
		service_progress(run->service, step);
}

static void set_timer(struct run *run)
{
	sd_event_source_set_time(run->timer, run->kind->wake(run, now_usec()));
	sd_event_source_set_enabled(run->timer, SD_EVENT_ONESHOT);
}

void run_go_on(struct run *run, unsigned actions)
{
	const struct run_kind *kind = run->kind;

	do {
		if (kind->prepare)
			kind->prepare(run, actions);
		if (actions & kind->do_tell)
			run_tell(run);
		if (actions & kind->do_end) {
			end(run);
			return;
		}
		set_timer(run);
		actions = kind->carry_out(run, actions);
	} while (actions);
}

void run_look(struct run *run)
{
	if (run)
		run_go_on(run, run->kind->look(run));
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	run_look(userdata);
	return 0;
}

/* ---- what it waits for ---- */

static unsigned take_job(struct run *run)
{
	run->job_over = false;
	return run->kind->job_ended(run, run->job_failure.text[0] ? run->job_failure.text : NULL);
}

static void note_job(struct run *run, const char *result, const struct problem *problem)
{
	static const char *const what[] = {
		[UNIT_START] = "started", [UNIT_STOP] = "stopped", [UNIT_RESTART] = "restarted"};

	run->job_over = true;
	run->job_failure = (struct problem) {0};
	if (strcmp(result, "done"))
		problem_set(&run->job_failure, 0,
			    "the unit of slot %u could not be %s (systemd: %s)%s%s", run->job_slot,
			    what[run->job_action], result, problem ? ": " : "",
			    problem ? problem->text : "");
}

static void on_job_ended(const char *result, const struct problem *problem, void *userdata)
{
	struct run *run = userdata;
	struct service *service = run->service;

	run->job = NULL;
	note_job(run, result, problem);
	/* with fewer Slots= than before there is no instance for it any more */
	if (run->job_slot < service->n_slots)
		unit_watch_refresh(service->instances[run->job_slot]->watch);
	else
		run_go_on(run, take_job(run));
}

unsigned run_start_job(struct run *run, enum unit_action action, unsigned slot)
{
	char unit[UNIT_NAME_MAX];

	run_stop_waiting(run);
	run->job_slot = slot;
	run->job_action = action;
	if (!name_unit(run->service->name, slot, unit, sizeof(unit)) &&
	    unit_job_new(run->service->host->bus, action, unit, on_job_ended, run, &run->job) >= 0)
		return 0;
	note_job(run, "failed", NULL);
	return take_job(run);
}

static void on_smoke_ended(const char *failure, void *userdata)
{
	struct run *run = userdata;

	run->smoke = NULL;
	run_go_on(run, run->kind->smoke_ended(run, failure));
}

unsigned run_start_smoke(struct run *run, unsigned slot, uint64_t timeout_usec)
{
	struct smoke_order order = {slot, run->smoke_command, timeout_usec,
				    run->smoke_may_be_silent};

	if (smoke_start(run->service, &order, on_smoke_ended, run, &run->smoke) >= 0)
		return 0;
	return run->kind->smoke_ended(run, "the smoke test could not be run");
}

static void hear(struct run *run, const struct event *event)
{
	bool fresh = event->kind == EVENT_UNIT_CHANGED && event->slot == run->job_slot;

	if (run->job_over && (fresh || run->job_slot >= run->service->n_slots))
		run_go_on(run, take_job(run));
	/* it may have come further meanwhile, or to its end */
	if (run->timer)
		run_look(run);
}

void run_heard(struct service *service, const struct event *event)
{
	if (event->kind == EVENT_VERDICT && !event->anew)
		return;
	/* an upgrade after what is a part of it */
	for (unsigned i = SERVICE_IDLE; i-- > 0;)
		if (service->runs[i])
			hear(service->runs[i], event);
}

/* ---- its beginning ---- */

bool run_is_barred(const struct service *service, bool of_upgrade, bool asked)
{
	if (of_upgrade)
		return service->runs[SERVICE_CHANGE] || service->runs[SERVICE_EXCLUSIVE];
	return service_busy(service) < (asked ? SERVICE_IDLE : SERVICE_DRAIN);
}

int run_new(const struct run_kind *kind, struct service *service, struct run **ret_run)
{
	_cleanup_(run_freep) struct run *run = calloc(1, kind->size);
	int r;

	if (!run)
		return -ENOMEM;
	run->kind = kind;
	run->service = service;
	run->lock_fd = -1;
	run->by = JOURNAL_NOBODY;
	run->job_slot = HS_SLOT_NONE;
	r = sd_event_add_time(service->host->event, &run->timer, CLOCK_MONOTONIC, USEC_INFINITY,
			      USEC_PER_MSEC, on_wake, run);
	if (r < 0)
		return r;
	*ret_run = steal_ptr(&run);
	return 0;
}

void run_begin(struct run *run, struct request **request, unsigned actions)
{
	assert(!run->service->runs[run->kind->work]);
	run->request = request_take(request);
	if (run->request)
		request_actor(run->request, &run->by);
	run->begun = now_usec();
	run->service->runs[run->kind->work] = run;
	run_go_on(run, actions);
}
