// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/change/smoke.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "core/watch/ending.h"
#include "plane/preview/exec.h"
#include "system/unit/scope.h"
#include "util/macro.h"

#define GRACE	  (5 * USEC_PER_SEC)
#define STOP_USEC (2 * USEC_PER_SEC)
/* Of one test, whose commands may use hsctl exec themselves. */
#define COUNTS_MAX 32

/* What counts the connections of one command, and the scope that it is in. */
struct smoke_counts {
	int fd;
	char scope[UNIT_NAME_MAX];
};

struct smoke {
	struct service *service;
	unsigned slot;
	bool may_be_silent;
	struct smoke_counts counts[COUNTS_MAX];
	unsigned n_counts;
	bool blind; /* some could not be kept */
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
		unit_transient_end(smoke->service->host->bus, smoke->unit, smoke->job);
	unit_job_free(smoke->job);
	unit_watch_free(smoke->watch);
	for (unsigned i = 0; i < smoke->n_counts; i++)
		close_fd(smoke->counts[i].fd);
	if (smoke->service->smoke == smoke)
		smoke->service->smoke = NULL;
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

/* ---- whether it has tested anything ---- */

static bool is_of(const struct smoke *smoke, const char *unit)
{
	if (!strcmp(unit, smoke->unit))
		return true;
	for (unsigned i = 0; i < smoke->n_counts; i++)
		if (!strcmp(unit, smoke->counts[i].scope))
			return true;
	return false;
}

void smoke_note(struct service *service, unsigned slot, const char *unit, const char *cgroup,
		int counts_fd)
{
	struct smoke *smoke = service->smoke;
	const char *scope = strrchr(cgroup, '/');
	struct smoke_counts *counts;

	if (!smoke || smoke->slot != slot || !is_of(smoke, unit))
		return;
	counts = &smoke->counts[smoke->n_counts];
	if (smoke->n_counts == COUNTS_MAX ||
	    (counts->fd = fcntl(counts_fd, F_DUPFD_CLOEXEC, 3)) < 0) {
		smoke->blind = true;
		return;
	}
	snprintf(counts->scope, sizeof(counts->scope), "%.250s", scope ? scope + 1 : "");
	smoke->n_counts++;
}

/* What could not be asked is no reason to fail it. */
static bool has_reached(const struct smoke *smoke, struct problem *ret_why)
{
	struct hs_exec_counts counts;

	if (smoke->may_be_silent || smoke->blind || !smoke->n_counts)
		return true;
	for (unsigned i = 0; i < smoke->n_counts; i++)
		if (exec_counts(smoke->counts[i].fd, &counts) < 0 || exec_has_reached(&counts))
			return true;
	exec_counts(smoke->counts[0].fd, &counts);
	exec_describe(smoke->service->name, smoke->slot, &counts, ret_why);
	return false;
}

static void end_well(struct smoke *smoke)
{
	struct problem why = {0}, failure;

	if (has_reached(smoke, &why)) {
		end(smoke, NULL);
		return;
	}
	problem_set(&failure, 0,
		    "the smoke test has tested nothing: %.200s; if that is meant, add "
		    "--smoke-may-be-silent",
		    why.text);
	end(smoke, failure.text);
}

static void on_job(const char *result, const struct problem *problem, void *userdata)
{
	struct smoke *smoke = userdata;
	struct problem failure;

	smoke->job = NULL;
	if (!problem && strcmp(result, "done") &&
	    unit_watch_new(smoke->service->host->bus, smoke->unit, on_facts, smoke,
			   &smoke->watch) >= 0)
		return;
	if (!problem)
		unit_transient_end(smoke->service->host->bus, smoke->unit, false);
	if (!strcmp(result, "done")) {
		end_well(smoke);
		return;
	}
	problem_set(&failure, 0, "the smoke test could not be run: %s",
		    problem ? problem->text : result);
	end(smoke, failure.text);
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

int smoke_start(struct service *service, const struct smoke_order *order, smoke_fn on_end,
		void *userdata, struct smoke **ret_smoke)
{
	_cleanup_(smoke_freep) struct smoke *smoke = calloc(1, sizeof(*smoke));
	char identifier[UNIT_NAME_MAX], number[8];
	const char *argv[] = {HS_PREFIX "/bin/hsctl", "exec", "--must-connect", "--",
			      service->name,	      number, "/bin/sh",	"-c",
			      order->command,	      NULL};
	/* at a path nothing counts connections for us; that there was none is seen there */
	bool has_paths = plane_paths(service->plane)->entries;
	struct unit_transient unit = {
		.description = "hotstandby smoke test",
		.identifier = identifier,
		.binds_to = "hsd.service",
		.argv = argv,
		.timeout_usec = order->timeout_usec + GRACE,
		.stop_usec = STOP_USEC,
	};
	int r;

	if (!smoke)
		return -ENOMEM;
	smoke->service = service;
	smoke->slot = order->slot;
	smoke->may_be_silent = order->may_be_silent || has_paths;
	if (!has_paths || order->may_be_silent)
		memmove(&argv[2], &argv[3], sizeof(argv) - 3 * sizeof(*argv));
	smoke->on_end = on_end;
	smoke->userdata = userdata;
	snprintf(number, sizeof(number), "%u", order->slot);
	r = name_units(smoke, identifier);
	unit.name = smoke->unit;
	if (r >= 0)
		r = unit_transient_new(service->host->bus, &unit, on_job, smoke, &smoke->job);
	if (r < 0)
		return r;
	service->smoke = smoke;
	*ret_smoke = steal_ptr(&smoke);
	return 0;
}
