// SPDX-License-Identifier: GPL-2.0-or-later
/* Adoption in steps: fresh facts about the unit, the sockets, the socket units' stop, the map. */
#include <string.h>
#include <syslog.h>

#include "hsd/exclusive_run.h"
#include "hsd/foreign_watch.h"
#include "hsd/hang.h"
#include "hsd/health.h"
#include "hsd/instance.h"
#include "hsd/ownership.h"
#include "hsd/preparation.h"
#include "hsd/park.h"
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
	/* what is known already is not told again */
	if (first.text[0] && strcmp(first.text, instance->problem.text))
		journal_log(JOURNAL_PROBLEM, &scope, "%s: slot %u: %s", instance->service->name,
			    instance->slot, first.text);
	instance->problem = first;
}

/* ---- sockets that come late ----
 *
 * A TCP socket that begins to listen is told by the kernel; that a UDP socket was bound is not. So
 * a new run is looked at again for some seconds, less and less often.
 */

#define LOOK_FIRST (50 * USEC_PER_MSEC)
#define LOOK_LAST  (3200 * USEC_PER_MSEC)

/* The sum over a set of sockets differs when the set does. */
static uint64_t mark_of(const struct held_socket *held)
{
	return held->socket.cookie * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static void remember_sockets(struct instance *instance)
{
	instance->sockets_mark = 0;
	for (size_t i = 0; i < instance->adoption->n; i++)
		instance->sockets_mark += mark_of(&instance->adoption->sockets[i].held);
}

static bool has_new_sockets(const struct instance *instance)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	uint64_t sum = 0;
	size_t n;

	if (scan_cgroup(instance_facts(instance)->control_group, &held, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		sum += mark_of(&held[i]);
	return sum != instance->sockets_mark;
}

static void schedule_look(struct instance *instance);

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct instance *instance = userdata;

	(void)usec;
	sd_event_source_disable_unref(source);
	instance->look_source = NULL;
	instance->look_delay = instance->look_delay < LOOK_LAST ? 2 * instance->look_delay : 0;
	if (!instance_owns(instance, 0))
		instance->look_delay = 0;
	else if (!instance->adoption && has_new_sockets(instance))
		instance_adopt(instance, NULL);
	schedule_look(instance);
	return 0;
}

static void schedule_look(struct instance *instance)
{
	if (instance->look_delay && !instance->look_source)
		sd_event_add_time_relative(instance->service->context->event,
					   &instance->look_source, CLOCK_MONOTONIC,
					   instance->look_delay, USEC_PER_MSEC, on_look, instance);
}

static void end_adoption(struct instance *instance)
{
	struct service *service = instance->service;
	struct journal_scope scope = instance_scope(instance, LOG_INFO);
	struct problem sentence = {0};

	adoption_commit(service->plane, instance->slot, instance->adoption);
	/* first of all: clients wait */
	park_on_adopted(service->park, instance->adoption, instance_facts(instance)->filtered);
	ownership_adopted(service);
	remember_sockets(instance);
	schedule_look(instance);
	tell_problems(instance, instance->adoption);
	adoption_describe(service->name, instance->slot, instance->adoption, &sentence);
	if (instance->adoption->fresh)
		journal_log(JOURNAL_ADOPT, &scope, "%s", sentence.text);
	service->loss_told = false;
	if (instance->adoption->fresh) {
		instance->ready_since = now_usec();
		ownership_bound(instance);
		hang_on_adopted(service->hang, instance->slot);
		health_on_adopted(service->health, instance->slot);
	}
	instance->adoption = adoption_free(instance->adoption);
	waiters_answer(&instance->adopters, service->name, instance->slot, sentence.text);
	if (instance->adopt_wanted)
		unit_watch_refresh(instance->watch);
	retirement_retry_others(instance);
	exclusive_run_poke(service->exclusive, HS_SLOT_NONE);
	foreign_watch_look(service);
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
		end_adoption(instance);
}

/* PID 1 must let go of its copies before they get traffic: stop the socket units, not the service.
 * One that the service requires is left alone, for its stop would stop the service. */
static void stop_socket_units(struct instance *instance, const struct unit_facts *facts)
{
	unsigned n = 0;

	for (char **unit = facts->triggered_by; unit && *unit; unit++) {
		struct socket_stop *stop = &instance->socket_stops[n];

		if (n == INSTANCE_SOCKET_UNITS_MAX || !unit_is_socket(*unit) ||
		    strings_contain(facts->required, *unit))
			continue;
		stop->instance = instance;
		if (!unit_job_new(instance->service->context->bus, UNIT_LET_GO, *unit,
				  on_socket_stopped, stop, &stop->job))
			n++;
	}
	instance->stopping_sockets = n;
	if (n && !instance->let_go_run[0])
		memcpy(instance->let_go_run, facts->invocation, sizeof(instance->let_go_run));
}

static void refuse_adoption(struct instance *instance, const char *reason)
{
	struct problem sentence;

	problem_set(&sentence, 0, "%s: slot %u is not adopted: %s", instance->service->name,
		    instance->slot, reason);
	waiters_answer(&instance->adopters, instance->service->name, instance->slot, sentence.text);
}

void adoption_start(struct instance *instance, const struct unit_facts *facts)
{
	struct service *service = instance->service;
	struct adopt_scope scope = {
		.cgroup = facts->control_group,
		.slot = instance->slot,
		.ports = service->config.ports,
		.n_ports = service->config.n_ports,
		.late = preparation_is_forced(instance, facts),
	};
	struct problem problem = {0};
	int r;

	instance->adopt_wanted = false;
	if (!instance_is_up(facts->state)) {
		refuse_adoption(instance, "its unit is not running.");
		return;
	}
	if (!service->plane) {
		refuse_adoption(instance, service->problem.text);
		return;
	}
	if (strcmp(instance->adopted_run, facts->invocation)) {
		instance->crash_told = false;
		hang_on_new_run(service->hang, instance->slot);
		/* a manager that was not there when it was prepared */
		instance->ownership.other_than_root |= !owner_is_root(facts);
		instance->look_delay = LOOK_FIRST;
	}
	memcpy(instance->adopted_run, facts->invocation, sizeof(instance->adopted_run));
	/* for what it binds from now on: it may run since before it was enabled. Whether that
	 * matters shows with its sockets */
	preparation_make(instance, facts, &problem);
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
	if (!instance->adoption)
		unit_watch_refresh(instance->watch);
	return 0;
}
