// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/slot/preparation.h"

#include <string.h>
#include <syslog.h>

#include "core/setup/intake.h"
#include "plane/act/prepare.h"
#include "plane/bpf/mptcp.h"
#include "plane/kernel/cgroup.h"
#include "service/slot/orders.h"
#include "service/slot/ownership.h"

void instance_prepare(struct instance *instance, struct request *request)
{
	instance->began = true;
	instance->served = false;
	if (requests_add(&instance->preparers, request))
		instance_refresh(instance);
}

/* What goes well is not worth a line in the journal. */
static void tell(const struct instance *instance, int result, const struct problem *sentence)
{
	struct journal_scope scope = instance_scope(instance, LOG_WARNING);

	if (result < 0)
		journal_log(JOURNAL_PREPARE, &scope, "%s", sentence->text);
}

static void tell_given(const struct instance *instance, int given)
{
	struct journal_scope scope = instance_scope(instance, given < 0 ? LOG_WARNING : LOG_INFO);
	const char *service = instance->service->name;

	if (given > 0)
		journal_log(JOURNAL_PREPARE, &scope,
			    "%s: %d socket%s of other slots were given to user %u, so that slot %u "
			    "can join them",
			    service, given, given == 1 ? "" : "s", instance->ownership.bound_uid,
			    instance->slot);
	else if (given < 0)
		journal_log(
			JOURNAL_PREPARE, &scope,
			"%s: slot %u may find its address taken: the sockets of the other slots "
			"could not be given to its user %s: %s",
			service, instance->slot, instance_facts(instance)->user, strerror(-given));
}

bool preparation_is_forced(const struct instance *instance, const struct unit_facts *facts)
{
	struct intake_facts intake = {
		.wanted = instance->service->config.intake,
		.socket_units = unit_has_socket(facts),
	};

	return intake_needs_force(&intake);
}

int preparation_make(struct instance *instance, const struct unit_facts *facts,
		     struct problem *ret_sentence)
{
	struct service *service = instance->service;
	struct prepare_scope scope = {
		.cgroup = facts->control_group,
		.slot = instance->slot,
		.forced = preparation_is_forced(instance, facts),
		.config = &service->config,
		.started = facts->state == UNIT_RUNNING,
	};

	(void)cgroup_id(facts->control_group, &instance->prepared_cgroup);
	if (instance->explained)
		instance->problem = (struct problem) {0};
	instance->explained = false;
	if (service->plane)
		return prepare_slot(service->plane, &scope, ret_sentence);
	/* what is wrong with the service has been told */
	return problem_set(ret_sentence, 0, "%s: slot %u is not prepared: %.400s", service->name,
			   instance->slot, service->problem.text);
}

static int count_process(pid_t pid, void *userdata)
{
	(void)pid;
	return ++*(unsigned *)userdata > 1;
}

/* Beside the hook itself. */
static bool is_anything_left(const struct unit_facts *facts)
{
	unsigned n = 0;

	return facts->control_group[0] &&
	       cgroup_each_process(facts->control_group, count_process, &n) > 0;
}

static void on_shed(struct work_answer *answer, void *userdata)
{
	struct instance *instance = userdata;
	struct journal_scope scope = instance_scope(instance, LOG_NOTICE);

	instance->shed_work = NULL;
	if (answer->result > 0)
		journal_log(JOURNAL_PREPARE, &scope,
			    "%s: processes that an earlier run of slot %u has left hold %d of its "
			    "listening socket%s; they are out of service (see KillMode= of its "
			    "unit)",
			    instance->service->name, instance->slot, answer->result,
			    answer->result == 1 ? "" : "s");
	instance_refresh(instance);
}

/* Of a new run: what was held against the one before is over, and so are its sockets. */
static bool has_shed(struct instance *instance, const struct unit_facts *facts)
{
	struct work_order order = {.kind = WORK_SHED};

	if (instance->shed_work)
		return false;
	if (instance->known && !strcmp(instance->shed_run, facts->invocation))
		return true;
	memcpy(instance->shed_run, facts->invocation, sizeof(instance->shed_run));
	/* by hand, in the middle of it */
	if (instance_is_up(facts->state))
		return true;
	plane_set_suspect(instance->service->plane, instance->slot, false);
	plane_set_drained(instance->service->plane, instance->slot, false);
	return !is_anything_left(facts) ||
	       instance_order(instance, &order, on_shed, instance, &instance->shed_work) < 0;
}

/* ExecCondition= has asked; ExecStartPre= will. */
static void prepare_own_way(struct instance *instance, const struct unit_facts *facts)
{
	struct service *service = instance->service;
	struct prepare_scope scope = {
		.cgroup = facts->control_group,
		.slot = instance->slot,
		.config = &service->config,
	};
	struct problem sentence;

	prepare_early(service->plane, &scope);
	problem_set(&sentence, 0, "%s: slot %u finds itself from here on.", service->name,
		    instance->slot);
	requests_done(&instance->preparers, service->name, instance->slot, sentence.text);
}

void preparation_run(struct instance *instance, const struct unit_facts *facts)
{
	struct service *service = instance->service;
	struct problem sentence;
	int given = 0, r;

	if (!instance->preparers.n || (service->plane && !has_shed(instance, facts)))
		return;
	if (service->plane && facts->conditions) {
		prepare_own_way(instance, facts);
		return;
	}
	if (service->plane && instance->known && !ownership_prepare(instance, facts, &given))
		return;
	tell_given(instance, given);
	r = preparation_make(instance, facts, &sentence);
	tell(instance, r, &sentence);
	if (service->plane)
		requests_done(&instance->preparers, service->name, instance->slot, sentence.text);
	else
		requests_fail(&instance->preparers, sentence.text);
}

void preparation_explain_failure(struct instance *instance)
{
	struct journal_scope scope = instance_scope(instance, LOG_WARNING);
	uint64_t cgroup = instance->prepared_cgroup;

	instance->prepared_cgroup = 0;
	if (!cgroup || !mptcp_asked(cgroup))
		return;
	instance->explained = true;
	problem_set(&instance->problem, 0,
		    "it wanted to use MPTCP, was refused it (MPTCP=no), and failed; if its last "
		    "words are \"Protocol not supported\", let it use plain TCP, or set MPTCP=keep "
		    "in %s.conf",
		    instance->service->name);
	journal_log(JOURNAL_PROBLEM, &scope, "%s: slot %u: %s", instance->service->name,
		    instance->slot, instance->problem.text);
}

void preparation_heard(struct service *service, const struct event *event)
{
	struct instance *instance = service->instances[event->slot];

	preparation_run(instance, instance_facts(instance));
}
