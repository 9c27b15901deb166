// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/instance.h"

#include <inttypes.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>

#include "plane/cgroup.h"
#include "plane/retire.h"
#include "system/journal.h"
#include "util/clock.h"
#include "util/macro.h"

/* A crashed instance is started again after this long, twice as long each time in a row; one that
 * was ready for a while begins anew. */
#define RESTART_DELAY_MIN (100 * USEC_PER_MSEC)
#define RESTART_DELAY_MAX (30 * USEC_PER_SEC)
#define STABLE_AFTER	  (60 * USEC_PER_SEC)

/* How long the last ready slot waits for another before it goes: "systemctl restart" of all
 * instances at once then takes turns. Within what ExecStop= may take. */
#define PATIENCE (4 * USEC_PER_SEC)

DEFINE_CLEANUP(struct instance, instance_free)

static struct journal_scope scope_of(const struct instance *instance, int priority)
{
	return (struct journal_scope) {instance->service->name, instance->slot, priority};
}

const struct unit_facts *instance_facts(const struct instance *instance)
{
	return unit_watch_facts(instance->watch);
}

static bool is_up(enum unit_state state)
{
	return state == UNIT_START_POST || state == UNIT_RUNNING;
}

/* ---- the main process ---- */

static void unwatch_main(struct instance *instance)
{
	instance->exit_source = sd_event_source_disable_unref(instance->exit_source);
	instance->watched_pid = 0;
}

static bool is_retired(const struct instance *instance)
{
	return instance->service->plane &&
	       plane_is_retired(instance->service->plane, instance->slot);
}

static void tell_crash(struct instance *instance)
{
	struct journal_scope scope = scope_of(instance, LOG_WARNING);

	if (instance->crash_told)
		return;
	instance->crash_told = true;
	journal_log(JOURNAL_CRASH, &scope,
		    "%s: the instance of slot %u ended by itself; see journalctl -u %s",
		    instance->service->name, instance->slot, instance->unit);
}

static int on_main_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct instance *instance = userdata;
	struct service *service = instance->service;

	(void)source;
	(void)fd;
	(void)events;
	unwatch_main(instance);
	/* systemd's news follow; where other processes still hold the sockets they decide */
	unit_watch_refresh(instance->watch);
	if (!service->plane || plane_slot_sockets(service->plane, instance->slot))
		return 0;
	if (!is_retired(instance) && instance_facts(instance)->state != UNIT_STOPPING)
		tell_crash(instance);
	service_on_lost(service, instance->slot);
	return 0;
}

static void watch_main(struct instance *instance, pid_t pid)
{
	int fd;

	if (pid == instance->watched_pid)
		return;
	unwatch_main(instance);
	fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (fd < 0)
		return;
	if (sd_event_add_io(instance->service->context->event, &instance->exit_source, fd, EPOLLIN,
			    on_main_exit, instance) < 0) {
		close_fd(fd);
		return;
	}
	sd_event_source_set_io_fd_own(instance->exit_source, true);
	instance->watched_pid = pid;
}

/* ---- starting it again after a crash ---- */

static void on_restarted(const char *result, const struct problem *problem, void *userdata)
{
	struct instance *instance = userdata;
	bool done = !strcmp(result, "done");
	struct journal_scope scope = scope_of(instance, done ? LOG_INFO : LOG_WARNING);

	instance->restart_job = NULL;
	journal_log(JOURNAL_RESTART, &scope, "%s: starting slot %u again after its crash: %s%s%s",
		    instance->service->name, instance->slot, result, problem ? ": " : "",
		    problem ? problem->text : "");
}

static int on_restart_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	(void)usec;
	sd_event_source_disable_unref(source);
	instance->restart_source = NULL;
	if (instance_facts(instance)->state != UNIT_FAILED || instance->restart_job)
		return 0;
	unit_job_new(instance->service->context->bus, "StartUnit", instance->unit, on_restarted,
		     instance, &instance->restart_job);
	return 0;
}

static void schedule_restart(struct instance *instance)
{
	uint64_t now = now_usec();

	if (!instance->service->config.restart_on_crash || instance->restart_source)
		return;
	if (instance->ready_since && now - instance->ready_since > STABLE_AFTER)
		instance->restart_delay = 0;
	instance->restart_delay =
		MIN(MAX(2 * instance->restart_delay, RESTART_DELAY_MIN), RESTART_DELAY_MAX);
	sd_event_add_time_relative(instance->service->context->event, &instance->restart_source,
				   CLOCK_MONOTONIC, instance->restart_delay, USEC_PER_MSEC,
				   on_restart_due, instance);
}

/* ---- adoption ---- */

static void retry_others(const struct instance *instance);

static void tell_problems(struct instance *instance, const struct adoption *adoption)
{
	struct journal_scope scope = scope_of(instance, LOG_WARNING);
	struct problem first = {0}, sentence;

	for (size_t i = 0; i < adoption->n; i++) {
		adopt_describe(&adoption->sockets[i], &sentence);
		if (sentence.text[0] && !first.text[0])
			first = sentence;
	}
	/* what is known already is not told again */
	if (first.text[0] && strcmp(first.text, instance->problem.text))
		journal_log(JOURNAL_PROBLEM, &scope, "%s: slot %u: %s", instance->service->name,
			    instance->slot, first.text);
	instance->problem = first;
}

static void describe_adoption(const struct instance *instance, const struct adoption *adoption,
			      struct problem *ret_sentence)
{
	if (adoption->adopted)
		problem_set(ret_sentence, 0, "%s: slot %u has %u socket%s adopted, %u of them new.",
			    instance->service->name, instance->slot, adoption->adopted,
			    adoption->adopted == 1 ? "" : "s", adoption->fresh);
	else if (adoption->refused)
		problem_set(ret_sentence, 0, "%s: no socket of slot %u can be switched: %s",
			    instance->service->name, instance->slot, instance->problem.text);
	else
		problem_set(ret_sentence, 0,
			    "%s: slot %u does not listen yet; its sockets are adopted as soon as "
			    "it does.",
			    instance->service->name, instance->slot);
}

static void end_adoption(struct instance *instance)
{
	struct service *service = instance->service;
	struct journal_scope scope = scope_of(instance, LOG_INFO);
	struct problem sentence = {0};

	adoption_commit(service->plane, instance->slot, instance->adoption);
	tell_problems(instance, instance->adoption);
	describe_adoption(instance, instance->adoption, &sentence);
	if (instance->adoption->fresh)
		journal_log(JOURNAL_ADOPT, &scope, "%s", sentence.text);
	if (instance->adoption->fresh)
		instance->ready_since = now_usec();
	instance->adoption = adoption_free(instance->adoption);
	waiters_answer(&instance->adopters, service->name, instance->slot, sentence.text);
	if (instance->adopt_wanted)
		unit_watch_refresh(instance->watch);
	retry_others(instance);
}

static void on_socket_stopped(const char *result, const struct problem *problem, void *userdata)
{
	struct socket_stop *stop = userdata;
	struct instance *instance = stop->instance;

	stop->job = NULL;
	if (strcmp(result, "done")) {
		struct journal_scope scope = scope_of(instance, LOG_WARNING);

		journal_log(JOURNAL_PROBLEM, &scope,
			    "%s: the socket unit of slot %u could not be stopped: %s %s",
			    instance->service->name, instance->slot, result,
			    problem ? problem->text : "");
	}
	if (!--instance->stopping_sockets)
		end_adoption(instance);
}

static bool is_listed(char *const *list, const char *name)
{
	for (; list && *list; list++)
		if (!strcmp(*list, name))
			return true;
	return false;
}

/* PID 1 must let go of its copies before they get traffic: stop the socket units, not the service.
 * One that the service requires is left alone, for its stop would stop the service. */
static void stop_socket_units(struct instance *instance, const struct unit_facts *facts)
{
	unsigned n = 0;

	for (char **unit = facts->triggered_by; unit && *unit; unit++) {
		struct socket_stop *stop = &instance->socket_stops[n];
		size_t length = strlen(*unit);

		if (n == INSTANCE_SOCKET_UNITS_MAX || length < 7 ||
		    strcmp(*unit + length - 7, ".socket") || is_listed(facts->required, *unit))
			continue;
		stop->instance = instance;
		if (!unit_job_new(instance->service->context->bus, "StopUnit", *unit,
				  on_socket_stopped, stop, &stop->job))
			n++;
	}
	instance->stopping_sockets = n;
}

static void refuse_adoption(struct instance *instance, const char *reason)
{
	struct problem sentence;

	problem_set(&sentence, 0, "%s: slot %u is not adopted: %s", instance->service->name,
		    instance->slot, reason);
	waiters_answer(&instance->adopters, instance->service->name, instance->slot, sentence.text);
}

static void begin_adoption(struct instance *instance, const struct unit_facts *facts)
{
	struct service *service = instance->service;
	struct adopt_scope scope = {
		.cgroup = facts->control_group,
		.slot = instance->slot,
		.ports = service->config.ports,
		.n_ports = service->config.n_ports,
	};
	struct problem problem = {0};
	int r;

	instance->adopt_wanted = false;
	if (!is_up(facts->state)) {
		refuse_adoption(instance, "its unit is not running.");
		return;
	}
	if (!service->plane) {
		refuse_adoption(instance, service->problem.text);
		return;
	}
	if (strcmp(instance->adopted_run, facts->invocation))
		instance->crash_told = false;
	memcpy(instance->adopted_run, facts->invocation, sizeof(instance->adopted_run));
	r = adoption_begin(service->plane, &scope, &instance->adoption, &problem);
	if (r < 0) {
		instance->problem = problem;
		refuse_adoption(instance, problem.text);
		return;
	}
	stop_socket_units(instance, facts);
	if (!instance->stopping_sockets)
		end_adoption(instance);
}

int instance_adopt(struct instance *instance, sd_bus_message *message)
{
	int r = waiters_add(&instance->adopters, message);

	if (r < 0)
		return r;
	instance->adopt_wanted = true;
	/* one that is under way began before this was asked: it runs once more afterwards */
	return instance->adoption ? 0 : unit_watch_refresh(instance->watch);
}

/* ---- retirement ---- */

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;
	struct service *service = instance->service;
	struct journal_scope scope = scope_of(instance, LOG_INFO);
	const char *cgroup = instance_facts(instance)->control_group;
	struct problem sentence;
	int queued;

	(void)usec;
	sd_event_source_disable_unref(source);
	instance->settle_source = NULL;
	queued = bounce(service->plane, instance->slot, cgroup, false);
	problem_set(&sentence, 0, "%s: slot %u is retired, slot %u is active; %d waiting moved.",
		    service->name, instance->slot, hs_word_active(plane_word(service->plane)),
		    MAX(queued, 0));
	journal_log(JOURNAL_RETIRE, &scope, "%s", sentence.text);
	waiters_answer(&instance->retirers, service->name, instance->slot, sentence.text);
	return 0;
}

static void answer_unretired(struct instance *instance, enum retire_answer answer)
{
	struct journal_scope scope = scope_of(instance, LOG_WARNING);
	struct problem sentence;

	if (answer == RETIRE_LAST) {
		problem_set(&sentence, 0,
			    "%s: slot %u leaves and no other slot is ready: from its stop on "
			    "clients are refused until one is.",
			    instance->service->name, instance->slot);
		journal_log(JOURNAL_RETIRE, &scope, "%s", sentence.text);
	} else {
		problem_set(&sentence, 0, "%s: slot %u had no socket to retire.",
			    instance->service->name, instance->slot);
	}
	waiters_answer(&instance->retirers, instance->service->name, instance->slot, sentence.text);
}

static enum retire_answer leave(struct instance *instance)
{
	struct service *service = instance->service;
	enum slot_state states[HS_SLOTS_MAX];
	unsigned to;

	if (!service->plane)
		return RETIRE_NOT_HERE;
	service_states(service, states);
	return retire_leave(service->plane, instance->slot, slots_ready(states, service->n_slots),
			    &to);
}

static int settle(struct instance *instance)
{
	struct service *service = instance->service;

	service_on_lost(service, instance->slot);
	return sd_event_add_time_relative(
		service->context->event, &instance->settle_source, CLOCK_MONOTONIC,
		MIN(service->config.settle_usec, 3 * USEC_PER_SEC), 1, on_settled, instance);
}

static bool is_moving(const struct instance *instance)
{
	const struct unit_facts *facts = instance_facts(instance);

	return facts->job_pending || instance->adopt_wanted || instance->adoption ||
	       instance->restart_source || instance->restart_job || facts->state == UNIT_STARTING ||
	       facts->state == UNIT_START_POST || facts->state == UNIT_STOPPING ||
	       (facts->state == UNIT_RUNNING && is_retired(instance));
}

static bool another_may_come(const struct instance *instance)
{
	const struct service *service = instance->service;

	for (unsigned i = 0; i < service->n_slots; i++)
		if (i != instance->slot && is_moving(service->instances[i]))
			return true;
	return false;
}

static int on_patience_ended(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	(void)usec;
	sd_event_source_disable_unref(source);
	instance->patience_source = NULL;
	answer_unretired(instance, RETIRE_LAST);
	return 0;
}

static int try_retire(struct instance *instance)
{
	enum retire_answer answer = leave(instance);

	if (answer == RETIRE_LAST && another_may_come(instance)) {
		if (instance->patience_source)
			return 0;
		return sd_event_add_time_relative(
			instance->service->context->event, &instance->patience_source,
			CLOCK_MONOTONIC, PATIENCE, USEC_PER_MSEC, on_patience_ended, instance);
	}
	instance->patience_source = sd_event_source_disable_unref(instance->patience_source);
	if (answer == RETIRE_DONE)
		return settle(instance);
	answer_unretired(instance, answer);
	return 0;
}

/* Another slot came to be ready, or to rest: retirements that wait for it look again. */
static void retry_others(const struct instance *instance)
{
	const struct service *service = instance->service;

	for (unsigned i = 0; i < service->n_slots; i++)
		if (service->instances[i] != instance && service->instances[i]->patience_source)
			try_retire(service->instances[i]);
}

int instance_retire(struct instance *instance, sd_bus_message *message)
{
	int r = waiters_add(&instance->retirers, message);

	if (r < 0 || instance->settle_source || instance->patience_source)
		return r;
	return try_retire(instance);
}

/* ---- the unit ---- */

static void on_down(struct instance *instance, const struct unit_facts *facts)
{
	struct service *service = instance->service;
	bool same_run = !strcmp(instance->adopted_run, facts->invocation);

	if (!service->plane)
		return;
	if (!plane_slot_sockets(service->plane, instance->slot))
		service_on_lost(service, instance->slot);
	if (is_retired(instance) || !facts->was_active)
		return;
	/* with Restart= systemd goes from its end to the next start; without, it has failed */
	if (facts->state == UNIT_FAILED || (facts->state == UNIT_STARTING && same_run))
		tell_crash(instance);
	if (facts->state == UNIT_FAILED)
		schedule_restart(instance);
}

static void on_unit_changed(const struct unit_facts *facts, int error, void *userdata)
{
	struct instance *instance = userdata;
	bool up = is_up(facts->state), new_run;

	if (error)
		return;
	new_run = strcmp(instance->adopted_run, facts->invocation) != 0;
	watch_main(instance, up ? facts->main_pid : 0);
	/* a run that nobody announced: hsd was not there, or ExecStartPost= is missing */
	if (facts->state == UNIT_RUNNING && new_run)
		instance->adopt_wanted = true;
	if (instance->adopt_wanted && !instance->adoption)
		begin_adoption(instance, facts);
	if (!up)
		on_down(instance, facts);
	retry_others(instance);
}

bool instance_owns(const struct instance *instance, uint64_t cgroup_id)
{
	const struct unit_facts *facts = instance_facts(instance);

	/* before it has reported ready it is not asked for; see instance_adopt() */
	if (!is_up(facts->state) || is_retired(instance) ||
	    strcmp(instance->adopted_run, facts->invocation))
		return false;
	return !cgroup_id || cgroup_contains(facts->control_group, cgroup_id);
}

int instance_new(struct service *service, unsigned slot, struct instance **ret_instance)
{
	_cleanup_(instance_freep) struct instance *instance = calloc(1, sizeof(*instance));
	int r;

	if (!instance)
		return -ENOMEM;
	instance->service = service;
	instance->slot = slot;
	name_unit(service->name, slot, instance->unit, sizeof(instance->unit));
	r = unit_watch_new(service->context->bus, instance->unit, on_unit_changed, instance,
			   &instance->watch);
	if (r < 0)
		return r;
	*ret_instance = steal_ptr(&instance);
	return 0;
}

struct instance *instance_free(struct instance *instance)
{
	if (!instance)
		return NULL;
	unwatch_main(instance);
	sd_event_source_disable_unref(instance->settle_source);
	sd_event_source_disable_unref(instance->patience_source);
	sd_event_source_disable_unref(instance->restart_source);
	unit_job_free(instance->restart_job);
	for (unsigned i = 0; i < INSTANCE_SOCKET_UNITS_MAX; i++)
		unit_job_free(instance->socket_stops[i].job);
	adoption_free(instance->adoption);
	waiters_answer(&instance->adopters, instance->service->name, instance->slot,
		       "The service is no longer managed.");
	waiters_answer(&instance->retirers, instance->service->name, instance->slot,
		       "The service is no longer managed.");
	unit_watch_free(instance->watch);
	free(instance);
	return NULL;
}
