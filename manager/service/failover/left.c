// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/failover/left.h"

#include <string.h>
#include <syslog.h>

#include "service/failover/recovery.h"
#include "service/slot/orders.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* When whether it comes back could not be looked for, for want of memory. */
#define FAULT_USEC USEC_PER_SEC
/* When a restart was refused: by the unit's settings, say. */
#define REFUSED_USEC (30 * USEC_PER_SEC)
/* How often it is looked whether the last connection has ended, in the first second. */
#define DRAIN_LOOK (10 * USEC_PER_MSEC)

/* Between two restarts of one slot, twice as long each time. */
#define PAUSE_MIN    (1 * USEC_PER_SEC)
#define PAUSE_MAX    (60 * USEC_PER_SEC)
#define PAUSE_FORGET (600 * USEC_PER_SEC)

static int on_watch(sd_event_source *source, uint64_t usec, void *userdata);

int left_init(struct left *left, struct service *service, unsigned slot, left_fn on_back,
	      void *userdata)
{
	int r;

	*left = (struct left) {
		.service = service, .slot = slot, .on_back = on_back, .userdata = userdata};
	r = sd_event_add_time(service->host->event, &left->watch, CLOCK_MONOTONIC, 0, USEC_PER_MSEC,
			      on_watch, left);
	return r < 0 ? r : sd_event_source_set_enabled(left->watch, SD_EVENT_OFF);
}

static struct instance *instance_of(const struct left *left)
{
	return left->service->instances[left->slot];
}

static void end_watch(struct left *left)
{
	sd_event_source_set_enabled(left->watch, SD_EVENT_OFF);
	left->recovery = recovery_free(left->recovery);
	left->reset = work_forget(left->reset);
}

void left_end(struct left *left)
{
	end_watch(left);
	left->job = unit_job_free(left->job);
}

void left_done(struct left *left)
{
	if (!left->watch)
		return;
	left_end(left);
	left->watch = sd_event_source_disable_unref(left->watch);
}

void left_note_run(struct left *left)
{
	left->drained_since = 0;
	memcpy(left->run, instance_facts(instance_of(left))->invocation, sizeof(left->run));
}

bool left_is_of_this_run(const struct left *left)
{
	return !strcmp(left->run, instance_facts(instance_of(left))->invocation);
}

void left_forget(struct left *left)
{
	end_watch(left);
	standing_forget(&left->standing);
	left->drained_since = 0;
	left->in_part = false;
}

/* The very instance that was left, and nobody has done anything about it since. */
static bool is_still_left(const struct left *left)
{
	return plane_is_suspect(left->service->plane, left->slot) &&
	       instance_facts(instance_of(left))->state == UNIT_RUNNING &&
	       left_is_of_this_run(left);
}

static void tell(const struct left *left, enum journal_kind kind, const char *what)
{
	struct journal_scope scope = instance_scope(instance_of(left), LOG_WARNING);

	journal_log(kind, &scope, "%s: slot %u: %s", left->service->name, left->slot, what);
}

/* ---- it may come back ---- */

static void on_recovered(void *userdata)
{
	struct left *left = userdata;

	end_watch(left);
	left->on_back(left->userdata);
}

static void watch_after(struct left *left, uint64_t usec)
{
	int enabled;

	if (sd_event_source_get_enabled(left->watch, &enabled) > 0)
		return;
	sd_event_source_set_time_relative(left->watch, usec);
	sd_event_source_set_enabled(left->watch, SD_EVENT_ONESHOT);
}

static void await_recovery(struct left *left)
{
	if (!left->recovery &&
	    recovery_new(instance_of(left), on_recovered, left, &left->recovery) < 0)
		watch_after(left, FAULT_USEC);
}

/* Where other sockets of an address serve, somebody accepts in any case: only once nothing moves in
 * it any more. One that was stopped is let go on by us. */
static bool may_recover(const struct left *left)
{
	const struct standstill *still = &left->standing.still;

	if (left->in_part)
		return still->verdict == STANDSTILL_WAITS &&
		       standstill_lasts(still, standing_stall(&left->service->config));
	return still->halt != HALT_STOPPED;
}

/* ---- it is restarted ---- */

/* It is what it was, but for the signals that it has got. */
static void on_refused(struct left *left)
{
	if (!is_still_left(left))
		return;
	left->drained_since = 0;
	standing_forget(&left->standing);
	await_recovery(left);
	watch_after(left, REFUSED_USEC);
}

static void on_restarted(const char *result, const struct problem *problem, void *userdata)
{
	struct left *left = userdata;
	bool done = !strcmp(result, "done");
	struct journal_scope scope =
		instance_scope(instance_of(left), done ? LOG_INFO : LOG_WARNING);

	left->job = NULL;
	journal_log(JOURNAL_RESTART, &scope, "%s: restarting slot %u, which hung: %s%s%s%s%s",
		    left->service->name, left->slot, result, problem ? ": " : "",
		    problem ? problem->text : "", done ? "" : "; see journalctl -u ",
		    done ? "" : instance_of(left)->unit);
	if (!done)
		on_refused(left);
}

/* One that hangs again and again is not restarted without a pause. */
static uint64_t pause_left(const struct left *left, uint64_t now)
{
	uint64_t due = left->restarted + left->pause;

	return left->restarted && now < due ? due - now : 0;
}

static void note_restart(struct left *left, uint64_t now)
{
	if (left->restarted && now - left->restarted > PAUSE_FORGET)
		left->pause = 0;
	left->pause = MIN(MAX(2 * left->pause, PAUSE_MIN), PAUSE_MAX);
	left->restarted = now;
}

static void restart(struct left *left)
{
	sd_bus *bus = left->service->host->bus;
	const char *unit = instance_of(left)->unit;
	uint64_t now = now_usec(), wait = pause_left(left, now);

	end_watch(left);
	if (wait) {
		watch_after(left, wait);
		return;
	}
	note_restart(left, now);
	/* what it has accepted is to be finished, where it can be */
	units_continue(bus, unit);
	if (!left->job)
		unit_job_new(bus, UNIT_RESTART, unit, on_restarted, left, &left->job);
}

/* ---- before that ---- */

/* Some, where they are not counted. */
static uint64_t count_connections(const struct left *left)
{
	const struct plane *plane = left->service->plane;
	struct slot_totals totals;

	if (!plane_accounting(plane) || plane_slot_totals(plane, left->slot, &totals) < 0)
		return 1;
	return totals.connections;
}

static void tell_draining(const struct left *left)
{
	char span[SPAN_TEXT_MAX];
	struct problem text;

	problem_set(&text, 0,
		    "it was stopped by a signal; it goes on, so that what it has in work can end, "
		    "for Drain=%s at most, and is restarted then",
		    span_format(left->service->config.drain_usec, span, sizeof(span)));
	tell(left, JOURNAL_RETIRE, text.text);
}

static void tell_standing(const struct left *left)
{
	const struct standstill *still = &left->standing.still;
	bool kept = left->service->config.drain_end == DRAIN_END_KEEP && count_connections(left);
	char span[SPAN_TEXT_MAX];
	struct problem text;

	problem_set(&text, 0,
		    "it stands still: nothing was read, written or accepted, and nothing has run, "
		    "for %s; it will be restarted%s",
		    span_format(still->looked - still->since, span, sizeof(span)),
		    kept ? " when its connections have ended (DrainEnd=keep)" : "");
	tell(left, JOURNAL_HANG, text.text);
}

static int watch_in(struct left *left, uint64_t usec)
{
	sd_event_source_set_time_relative(left->watch, usec);
	return sd_event_source_set_enabled(left->watch, SD_EVENT_ONESHOT);
}

static int watch_again(struct left *left)
{
	return watch_in(left, standing_period(instance_of(left)));
}

static void on_reset(struct work_answer *answer, void *userdata)
{
	struct left *left = userdata;

	left->reset = NULL;
	if (answer->result < 0 && answer->problem.text[0])
		tell(left, JOURNAL_PROBLEM, answer->problem.text);
	restart(left);
}

/* Each takes the lock of a connection, which the instance may hold: another process does it. */
static int reset_and_restart(struct left *left)
{
	struct work_order order = {.kind = WORK_RESET};

	if (instance_order(instance_of(left), &order, on_reset, left, &left->reset) < 0)
		restart(left);
	return 0;
}

static int end_drain(struct left *left)
{
	if (left->service->config.drain_end == DRAIN_END_RESET && count_connections(left))
		return reset_and_restart(left);
	restart(left);
	return 0;
}

/* As DrainEnd= says of connections that have outlived the drain. */
static int drain(struct left *left)
{
	const struct config *config = &left->service->config;
	uint64_t passed = now_usec() - left->drained_since;

	if (!count_connections(left) ||
	    (passed >= config->drain_usec && config->drain_end != DRAIN_END_KEEP))
		return end_drain(left);
	return passed < USEC_PER_SEC ? watch_in(left, DRAIN_LOOK) : watch_again(left);
}

/* One that was stopped gets the time to end what it has; for one that stands still it is over: it
 * will not end anything any more. */
static int begin_drain(struct left *left)
{
	bool stopped = left->standing.still.verdict == STANDSTILL_STOPPED;

	left->recovery = recovery_free(left->recovery);
	left->drained_since = now_usec();
	if (!stopped) {
		left->drained_since -= left->service->config.drain_usec;
		tell_standing(left);
	} else if (count_connections(left)) {
		units_continue(left->service->host->bus, instance_of(left)->unit);
		tell_draining(left);
	}
	return drain(left);
}

/* ---- until then ---- */

/* It ends, or has ended, without having been asked to: what moved its queue away may have been the
 * reason, an accept(2) that failed. systemd starts what has failed again, or hsd does; what ended
 * with success nobody would. */
static bool ends_by_itself(const struct left *left)
{
	const struct instance *instance = instance_of(left);
	const struct unit_facts *facts = instance_facts(instance);

	/* one that is down has no invocation any more */
	if (facts->state != UNIT_DOWN &&
	    (facts->state != UNIT_STOPPING || !left_is_of_this_run(left)))
		return false;
	return (instance->unasked || instance->crash_told) && !facts->job_pending;
}

static int watch_end(struct left *left)
{
	if (instance_facts(instance_of(left))->state != UNIT_DOWN)
		return watch_again(left);
	restart(left);
	return 0;
}

/* An instance that cannot be proven to stand still gets the chance to show that it serves. */
static int look(struct left *left, uint64_t due)
{
	const struct standstill_limits limits = standing_limits(&left->service->config);

	standing_look(&left->standing, instance_of(left), due);
	if (standstill_is_over(&left->standing.still, &limits))
		return begin_drain(left);
	if (may_recover(left))
		await_recovery(left);
	return watch_again(left);
}

static int on_watch(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct left *left = userdata;

	(void)source;
	if (ends_by_itself(left))
		return watch_end(left);
	if (!is_still_left(left))
		return 0;
	if (left->service->config.on_hang == ON_HANG_KEEP) {
		await_recovery(left);
		return 0;
	}
	return left->drained_since ? drain(left) : look(left, usec);
}

void left_begin(struct left *left)
{
	if (left->service->config.on_hang == ON_HANG_KEEP)
		await_recovery(left);
	else
		watch_after(left, 0);
}

bool left_looks_full(const struct left *left)
{
	const struct standstill *still = &left->standing.still;

	return still->begun && standstill_kind(still) == STANDSTILL_IS_FULL;
}

void left_describe_future(const struct left *left, enum standstill_kind kind,
			  struct problem *ret_text)
{
	const struct config *config = &left->service->config;
	char span[SPAN_TEXT_MAX];

	span_format(standing_limits(config).patience, span, sizeof(span));
	if (kind == STANDSTILL_IS_FULL)
		problem_set(ret_text, 0,
			    "what it has in work goes on, and it stands by again when it accepts");
	else if (config->on_hang == ON_HANG_KEEP)
		problem_set(ret_text, 0, "it is kept, out of service until it serves again");
	else if (kind == STANDSTILL_IS_FROZEN)
		problem_set(ret_text, 0, "it stands by again when it goes on and accepts");
	else if (left->standing.still.halt == HALT_STOPPED && !left->in_part)
		problem_set(ret_text, 0, "it will be restarted");
	else
		problem_set(ret_text, 0,
			    "it will be restarted as soon as nothing has moved in it for %s", span);
}
