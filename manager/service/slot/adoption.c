// SPDX-License-Identifier: GPL-2.0-or-later
/* Adoption in steps: fresh facts about the unit, the sockets, the socket units' stop, the map. */
#include "service/slot/adoption.h"

#include <string.h>
#include <syslog.h>

#include "service/slot/filtering.h"
#include "service/slot/netns_stock.h"
#include "service/slot/orders.h"
#include "service/slot/ownership.h"
#include "service/slot/preparation.h"
#include "service/slot/settling.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/strings.h"

static void tell_problems(struct instance *instance, const struct adoption *adoption)
{
	struct journal_scope scope = instance_scope(instance, LOG_WARNING);
	struct problem first = adoption->blind, sentence;

	for (size_t i = 0; i < adoption->n; i++) {
		adopt_describe(&adoption->sockets[i], &sentence);
		if (sentence.text[0] && !first.text[0])
			first = sentence;
	}
	if (!first.text[0]) {
		first = adoption->path_problem;
		if (!adoption_path_matters(adoption))
			scope.priority = LOG_NOTICE;
	}
	/* what is known already is not told again */
	if (first.text[0] && strcmp(first.text, instance->problem.text))
		journal_log(JOURNAL_PROBLEM, &scope, "%s: slot %u: %s", instance->service->name,
			    instance->slot, first.text);
	instance->problem = first;
	instance->explained = false;
	adoption_explain(adoption, &instance->unadopted);
}

/* ---- sockets that come late ----
 *
 * A TCP socket that begins to listen is told by the kernel; that a UDP socket was bound is not. So
 * a new run is looked at again for some seconds, less and less often; and as long as it is
 * starting, for it may be waiting for an answer of its own before it says that it has started.
 */

#define LOOK_FIRST    (50 * USEC_PER_MSEC)
#define LOOK_STARTING (400 * USEC_PER_MSEC)
#define LOOK_LAST     (3200 * USEC_PER_MSEC)
#define LOOKS	      (10 * USEC_PER_SEC) /* all of them */
/* When it could not be done at all. */
#define RETRY_MIN (1 * USEC_PER_SEC)
#define RETRY_MAX (30 * USEC_PER_SEC)
/* No more than three times, if that is not known to help. */
#define RETRY_UNKNOWN (4 * USEC_PER_SEC)
/* How long a server may take to listen after it has reported ready, where nobody tells of it when
 * it does; and what is left for the rest, whatever was waited for. */
#define LISTEN_TIME (2 * USEC_PER_SEC)
#define SPARE_TIME  (500 * USEC_PER_MSEC)

static void remember_sockets(struct instance *instance)
{
	instance->sockets_mark = 0;
	for (size_t i = 0; i < instance->adoption->n; i++)
		instance->sockets_mark += scan_mark(&instance->adoption->sockets[i].held);
	for (unsigned i = 0; i < instance->adoption->n_paths; i++)
		instance->sockets_mark += adopt_path_mark(&instance->adoption->paths[i]);
}

static void schedule_look(struct instance *instance);

static void on_looked(struct work_answer *answer, void *userdata)
{
	struct instance *instance = userdata;

	instance->look_work = NULL;
	if (answer->size == sizeof(instance->sockets_mark) && !instance_is_adopting(instance) &&
	    memcmp(answer->data, &instance->sockets_mark, answer->size))
		instance_adopt(instance, NULL);
}

static void look(struct instance *instance)
{
	struct work_order order = {.kind = WORK_LOOK};

	if (!instance_is_adopting(instance) && !instance->look_work)
		instance_order(instance, &order, on_looked, instance, &instance->look_work);
}

/* 0: no more. */
static uint64_t next_delay(const struct instance *instance)
{
	uint64_t twice = 2 * instance->look_delay;

	if (!instance_facts(instance)->was_active)
		return MIN(twice, LOOK_STARTING);
	return twice <= LOOK_LAST ? twice : 0;
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	(void)usec;
	sd_event_source_disable_unref(source);
	instance->look_source = NULL;
	instance->look_delay = next_delay(instance);
	/* the other service may give the address up without a word to us */
	if (instance->contested)
		instance->look_delay = LOOK_LAST;
	if (!instance_owns(instance, 0))
		instance->look_delay = 0;
	else if (instance->contested && !instance_is_adopting(instance))
		instance_adopt(instance, NULL);
	else
		look(instance);
	schedule_look(instance);
	return 0;
}

static void schedule_look(struct instance *instance)
{
	if (instance->look_delay && !instance->look_source)
		sd_event_add_time_relative(instance->service->host->event, &instance->look_source,
					   CLOCK_MONOTONIC, instance->look_delay, USEC_PER_MSEC,
					   on_look, instance);
}

/* ---- the end ---- */

static void tell_end(struct instance *instance, struct problem *ret_sentence)
{
	struct service *service = instance->service;
	struct journal_scope scope = instance_scope(instance, LOG_INFO);

	tell_problems(instance, instance->adoption);
	adoption_describe(service->name, instance->slot, instance->adoption, ret_sentence);
	if (!instance->adoption->fresh)
		return;
	journal_log(JOURNAL_ADOPT, &scope, "%s", ret_sentence->text);
	instance->ready_since = now_usec();
	instance->prepared_cgroup = 0;
	ownership_bound(instance);
}

static void retry_later(struct instance *instance);

static bool passes(int error)
{
	static const int passing[] = {-EBUSY, -EAGAIN, -EMFILE, -ENFILE, -ENOMEM};

	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		if (error == passing[i])
			return true;
	return false;
}

/* What was wrong with a socket may be over in a moment: another process makes pins, say. Of other
 * errors nobody knows, and they are tried some times. */
static bool has_passing_error(const struct instance *instance)
{
	const struct adoption *adoption = instance->adoption;

	for (size_t i = 0; i < adoption->n; i++)
		if (adoption->sockets[i].verdict == ADOPT_ERROR &&
		    (passes(adoption->sockets[i].error) || instance->retry_delay < RETRY_UNKNOWN))
			return true;
	return false;
}

/* About the namespaces that its listeners are in. */
static void expect_questions(const struct plane *plane)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++)
		if (listeners[i]->netns.fd >= 0)
			netns_stock_expect(&listeners[i]->netns);
}

/* What was found stays until all have heard of it. */
static void end_adoption(struct instance *instance)
{
	struct service *service = instance->service;

	instance->barred = false;
	instance->served |= instance->adoption->adopted > 0;
	adoption_follow(service->plane, instance->adoption);
	expect_questions(service->plane);
	service_post(service, EVENT_ADOPTED, instance->slot, instance->adoption->fresh);
}

void adoption_heard(struct service *service, const struct event *event)
{
	struct instance *instance = service->instances[event->slot];
	struct problem sentence = {0};

	if (!instance->adoption)
		return;
	instance->contested = instance->adoption->contested;
	if (instance->contested)
		instance->look_delay = LOOK_LAST;
	remember_sockets(instance);
	schedule_look(instance);
	tell_end(instance, &sentence);
	if (has_passing_error(instance))
		retry_later(instance);
	else
		instance->retry_delay = 0;
	instance->adoption = adoption_free(instance->adoption);
	requests_done(&instance->adopters, service->name, instance->slot, sentence.text);
	if (instance->adopt_wanted)
		instance_refresh(instance);
}

/* `failed`: it was to be possible. */
static void refuse_adoption(struct instance *instance, bool failed, const char *reason)
{
	const char *service = instance->service->name;
	struct problem sentence;

	problem_set(&sentence, 0, "%s: slot %u is not adopted: %.400s", service, instance->slot,
		    reason);
	if (failed)
		requests_fail(&instance->adopters, sentence.text);
	else
		requests_done(&instance->adopters, service, instance->slot, sentence.text);
}

/* ---- when it fails ---- */

/* Its clients would wait in the park for a slot that never comes, where the kernel would lead them
 * to its sockets. Without our pins nothing will be different next time; what passes has been tried
 * again, and is no reason at all while a lock is held. */
static bool is_final(const struct instance *instance, int error)
{
	return error == -ENOENT ||
	       (error != -ETIMEDOUT && error != -EBUSY && instance->retry_delay > RETRY_MIN);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	(void)usec;
	instance->retry_source = sd_event_source_disable_unref(source);
	adoption_retry(instance);
	return 0;
}

void adoption_retry(struct instance *instance)
{
	const struct unit_facts *facts = instance_facts(instance);

	/* a slot counts as retired until its sockets have been found */
	if (instance_is_up(facts->state) && !strcmp(instance->adopted_run, facts->invocation))
		instance_adopt(instance, NULL);
}

static void retry_later(struct instance *instance)
{
	if (instance->retry_source)
		return;
	instance->retry_delay = MIN(MAX(2 * instance->retry_delay, RETRY_MIN), RETRY_MAX);
	sd_event_add_time_relative(instance->service->host->event, &instance->retry_source,
				   CLOCK_MONOTONIC, instance->retry_delay, USEC_PER_MSEC, on_retry,
				   instance);
}

/* What the instance's own lock is the reason of is tried again when it lets go. */
static void schedule_retry(struct instance *instance, int error)
{
	if (error != -ETIMEDOUT)
		retry_later(instance);
}

static void fail_adoption(struct instance *instance, int error, const struct problem *problem)
{
	struct journal_scope scope = instance_scope(instance, LOG_WARNING);

	if (strcmp(problem->text, instance->problem.text))
		journal_log(JOURNAL_PROBLEM, &scope, "%s: slot %u: %s", instance->service->name,
			    instance->slot, problem->text);
	instance->problem = instance->unadopted = *problem;
	/* so far it may have come */
	instance->served |= plane_slot_sockets(instance->service->plane, instance->slot) > 0;
	instance->adoption = adoption_free(instance->adoption);
	refuse_adoption(instance, true, problem->text);
	schedule_retry(instance, error);
	instance->barred |= is_final(instance, error);
	if (instance->adopt_wanted)
		instance_refresh(instance);
	service_post(instance->service, EVENT_UNADOPTED, instance->slot, false);
}

/* ---- the steps ---- */

static void order_adoption(struct instance *instance, bool commit);

static void end_stopping(struct instance *instance)
{
	instance->stopping_sockets = 0;
	instance->stop_source = sd_event_source_disable_unref(instance->stop_source);
	order_adoption(instance, true);
}

static void on_socket_stopped(const char *result, const struct problem *problem, void *userdata)
{
	struct socket_stop *stop = userdata;
	struct instance *instance = stop->instance;

	stop->job = NULL;
	if (strcmp(result, "done")) {
		struct journal_scope scope = instance_scope(instance, LOG_WARNING);

		journal_log(JOURNAL_PROBLEM, &scope,
			    "%s: the socket unit of slot %u could not be stopped: %s %s",
			    instance->service->name, instance->slot, result,
			    problem ? problem->text : "");
	}
	if (!--instance->stopping_sockets)
		end_stopping(instance);
}

static int on_stopping_late(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;
	struct journal_scope scope = instance_scope(instance, LOG_WARNING);

	(void)source;
	(void)usec;
	for (unsigned i = 0; i < INSTANCE_SOCKET_UNITS_MAX; i++)
		instance->socket_stops[i].job = unit_job_free(instance->socket_stops[i].job);
	journal_log(JOURNAL_PROBLEM, &scope,
		    "%s: the socket unit of slot %u was not stopped in time; systemd is busy",
		    instance->service->name, instance->slot);
	end_stopping(instance);
	return 0;
}

static bool is_to_be_stopped(const struct unit_facts *facts, const char *unit)
{
	return unit_is_socket(unit) && !strings_contain(facts->required, unit);
}

static bool has_sockets_to_stop(const struct unit_facts *facts)
{
	for (char **unit = facts->triggered_by; unit && *unit; unit++)
		if (is_to_be_stopped(facts, *unit))
			return true;
	return false;
}

/* PID 1 must let go of its copies before they get traffic: stop the socket units, not the service.
 * One that the service requires is left alone, for its stop would stop the service. */
static void stop_socket_units(struct instance *instance, const struct unit_facts *facts)
{
	const struct host *host = instance->service->host;
	unsigned n = 0;

	for (char **unit = facts->triggered_by; unit && *unit; unit++) {
		struct socket_stop *stop = &instance->socket_stops[n];

		if (n == INSTANCE_SOCKET_UNITS_MAX || !is_to_be_stopped(facts, *unit))
			continue;
		stop->instance = instance;
		if (!unit_job_new(host->bus, UNIT_LET_GO, *unit, on_socket_stopped, stop,
				  &stop->job))
			n++;
	}
	instance->stopping_sockets = n;
	if (n && !instance->let_go_run[0])
		memcpy(instance->let_go_run, facts->invocation, sizeof(instance->let_go_run));
	if (n && host->until)
		sd_event_add_time(host->event, &instance->stop_source, CLOCK_MONOTONIC,
				  host->until - SPARE_TIME, USEC_PER_MSEC, on_stopping_late,
				  instance);
}

static void on_adopted(struct work_answer *answer, void *userdata)
{
	struct instance *instance = userdata;
	struct adoption *adoption;

	instance->adopt_work = NULL;
	adoption = answer->result < 0 ? NULL : work_take_adoption(answer);
	if (!adoption) {
		if (answer->result >= 0)
			problem_set(&answer->problem, 0,
				    "its sockets could not be noted: no memory");
		fail_adoption(instance, answer->result < 0 ? answer->result : -ENOMEM,
			      &answer->problem);
		return;
	}
	/* the sockets that others came in by have done their part: theirs are in the map */
	adoption_free(instance->adoption);
	instance->adoption = adoption;
	if (!instance->commit_ordered) {
		filtering_note_sockets(instance);
		stop_socket_units(instance, instance_facts(instance));
	}
	if (instance->commit_ordered)
		end_adoption(instance);
	else if (!instance->stopping_sockets)
		order_adoption(instance, true);
}

static uint64_t time_to_listen(const struct host *host)
{
	uint64_t now = now_usec(), end = host_time(host, LISTEN_TIME, 2 * SPARE_TIME);

	return host_has(host, HOST_TENDS) || end < now ? 0 : end - now;
}

static void order_adoption(struct instance *instance, bool commit)
{
	struct service *service = instance->service;
	struct work_order order = {
		.kind = WORK_ADOPT,
		.commit = commit,
		.twins = service->config.park && service->park,
		.late = preparation_is_forced(instance, instance_facts(instance)),
		.settled = settling_is_over(instance),
		.pid = instance_facts(instance)->main_pid,
		.patience_usec = time_to_listen(service->host),
	};
	struct problem problem = {"no process could be told to do it: no memory"};
	int r;

	instance->commit_ordered = commit;
	r = instance_order(instance, &order, on_adopted, instance, &instance->adopt_work);
	if (r < 0)
		fail_adoption(instance, r, &problem);
}

/* It has become ready a moment ago, or is about to; and not long before hsd came. */
static bool is_recent(const struct unit_facts *facts)
{
	return !facts->was_active || now_usec() - facts->ready_usec < LOOKS;
}

/* False: who has asked was told why not. */
static bool may_begin(struct instance *instance, const struct unit_facts *facts)
{
	const struct service *service = instance->service;

	if (!service->plane)
		refuse_adoption(instance, true, service->problem.text);
	else if (!instance->known)
		refuse_adoption(instance, true, "systemd does not answer about its unit.");
	else if (!instance_is_up(facts->state))
		refuse_adoption(instance, false, "its unit is not running.");
	else
		return true;
	return false;
}

void adoption_start(struct instance *instance, const struct unit_facts *facts)
{
	struct service *service = instance->service;
	struct problem problem = {0};

	instance->adopt_wanted = false;
	if (!may_begin(instance, facts))
		return;
	if (strcmp(instance->adopted_run, facts->invocation)) {
		instance->crash_told = instance->barred = false;
		service_post(service, EVENT_NEW_RUN, instance->slot, false);
		/* a manager that was not there when it was prepared */
		instance->ownership.other_than_root |= !owner_is_root(facts);
		/* what is left of the run before would come late, or find a slot that is retired
		 * still, and be the last */
		instance->look_source = sd_event_source_disable_unref(instance->look_source);
		instance->look_delay = is_recent(facts) ? LOOK_FIRST : 0;
		instance->retry_source = sd_event_source_disable_unref(instance->retry_source);
		instance->retry_delay = 0;
	}
	memcpy(instance->adopted_run, facts->invocation, sizeof(instance->adopted_run));
	/* for what it binds from now on: it may run since before it was enabled. Whether that
	 * matters shows with its sockets */
	preparation_make(instance, facts, &problem);
	order_adoption(instance, !has_sockets_to_stop(facts));
}
