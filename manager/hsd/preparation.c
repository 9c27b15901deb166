// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/preparation.h"

#include <syslog.h>

#include "plane/prepare.h"

int instance_prepare(struct instance *instance, sd_bus_message *message)
{
	int r = waiters_add(&instance->preparers, message);

	return r < 0 ? r : unit_watch_refresh(instance->watch);
}

/* Nothing to do is the rule, and not worth a line in the journal. */
static void tell(const struct instance *instance, int result, const struct problem *sentence)
{
	struct journal_scope scope = instance_scope(instance, result < 0 ? LOG_WARNING : LOG_INFO);

	if (result)
		journal_log(JOURNAL_PREPARE, &scope, "%s", sentence->text);
}

void preparation_run(struct instance *instance, const struct unit_facts *facts)
{
	struct service *service = instance->service;
	struct intake_facts intake = {
		.wanted = service->config.intake,
		.socket_units = unit_has_socket(facts),
	};
	struct prepare_scope scope = {
		.cgroup = facts->control_group,
		.slot = instance->slot,
		.forced = intake_needs_force(&intake),
		.config = &service->config,
	};
	struct problem sentence;

	if (!instance->preparers.n)
		return;
	if (service->plane)
		tell(instance, prepare_slot(service->plane, &scope, &sentence), &sentence);
	else
		problem_set(&sentence, 0, "%s: slot %u is not prepared: %.400s", service->name,
			    instance->slot, service->problem.text);
	waiters_answer(&instance->preparers, service->name, instance->slot, sentence.text);
}
