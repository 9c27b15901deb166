// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/smoke.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "core/ending.h"
#include "system/scope.h"
#include "util/macro.h"

#define GRACE	  (5 * USEC_PER_SEC)
#define STOP_USEC (2 * USEC_PER_SEC)

struct smoke {
	struct service *service;
	char unit[UNIT_NAME_MAX];
	struct unit_job *job;
	struct unit_watch *watch; /* it has failed: how? */
	smoke_fn on_end;
	void *userdata;
};

DEFINE_CLEANUP(struct smoke, smoke_free)

struct smoke *smoke_free(struct smoke *smoke)
{
	if (!smoke)
		return NULL;
	if (smoke->job || smoke->watch)
		unit_transient_end(smoke->service->context->bus, smoke->unit, smoke->job);
	unit_job_free(smoke->job);
	unit_watch_free(smoke->watch);
	free(smoke);
	return NULL;
}

static void end(struct smoke *smoke, const char *failure)
{
	smoke_fn on_end = smoke->on_end;
	void *userdata = smoke->userdata;

	smoke_free(smoke);
	on_end(failure, userdata);
}

static void on_facts(const struct unit_facts *facts, int error, void *userdata)
{
	char how[ENDING_TEXT_MAX] = "";
	struct problem failure;

	if (!error)
		ending_describe(&facts->ending, how);
	problem_set(&failure, 0, "the smoke test failed: %s",
		    how[0] ? how : "its exit status was not 0");
	end(userdata, failure.text);
}

static void on_job(const char *result, const struct problem *problem, void *userdata)
{
	struct smoke *smoke = userdata;
	struct problem failure;

	smoke->job = NULL;
	if (!problem && strcmp(result, "done") &&
	    unit_watch_new(smoke->service->context->bus, smoke->unit, on_facts, smoke,
			   &smoke->watch) >= 0)
		return;
	if (!problem)
		unit_transient_end(smoke->service->context->bus, smoke->unit, false);
	problem_set(&failure, 0, "the smoke test could not be run: %s",
		    problem ? problem->text : result);
	end(smoke, strcmp(result, "done") ? failure.text : NULL);
}

static int name_units(struct smoke *smoke, char identifier[UNIT_NAME_MAX])
{
	uint32_t number;

	/* the one of an upgrade before may still be on its way out */
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	snprintf(identifier, UNIT_NAME_MAX, SCOPE_SMOKE_PREFIX "%.180s", smoke->service->name);
	snprintf(smoke->unit, sizeof(smoke->unit), "%.200s-%08" PRIx32 ".service", identifier,
		 number);
	return 0;
}

int smoke_start(struct service *service, unsigned slot, const char *command, uint64_t timeout_usec,
		smoke_fn on_end, void *userdata, struct smoke **ret_smoke)
{
	_cleanup_(smoke_freep) struct smoke *smoke = calloc(1, sizeof(*smoke));
	char identifier[UNIT_NAME_MAX], number[8];
	const char *argv[] = {HS_PREFIX "/bin/hsctl",
			      "exec",
			      "--",
			      service->name,
			      number,
			      "/bin/sh",
			      "-c",
			      command,
			      NULL};
	struct unit_transient order = {
		.description = "hotstandby smoke test",
		.identifier = identifier,
		.binds_to = "hsd.service",
		.argv = argv,
		.timeout_usec = timeout_usec + GRACE,
		.stop_usec = STOP_USEC,
	};
	int r;

	if (!smoke)
		return -ENOMEM;
	smoke->service = service;
	smoke->on_end = on_end;
	smoke->userdata = userdata;
	snprintf(number, sizeof(number), "%u", slot);
	r = name_units(smoke, identifier);
	order.name = smoke->unit;
	if (r >= 0)
		r = unit_transient_new(service->context->bus, &order, on_job, smoke, &smoke->job);
	if (r < 0)
		return r;
	*ret_smoke = steal_ptr(&smoke);
	return 0;
}
