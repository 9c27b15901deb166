// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/unit/unitjob.h"

#include <string.h>

#include "system/unit/unitlink.h"

struct unit_job {
	LIST_ENTRY(unit_job) entry;
	struct unitlink *link;
	char *path; /* of systemd's job object, once known */
	unit_job_fn on_end;
	void *userdata;
	struct unitcall call; /* the order, then whether it is still there */
};

DEFINE_CLEANUP(struct unit_job, unit_job_free)

static const struct {
	const char *method, *mode;
} orders[] = {
	[UNIT_START] = {"StartUnit", "replace"},
	[UNIT_STOP] = {"StopUnit", "replace"},
	[UNIT_RESTART] = {"RestartUnit", "replace"},
	[UNIT_LET_GO] = {"StopUnit", "fail"},
};

struct unit_job *unit_job_free(struct unit_job *job)
{
	if (!job)
		return NULL;
	if (job->link)
		LIST_REMOVE(job, entry);
	/* an order whose turn has not come is given all the same */
	if (unitcall_waits(&job->call) && !job->path)
		unitcall_send_unheard(&job->call);
	unitcall_cancel(&job->call);
	unitlink_unref(job->link);
	free(job->path);
	free(job);
	return NULL;
}

bool unit_job_is_made(const struct unit_job *job)
{
	return job->path;
}

static void end_job(struct unit_job *job, const char *result, const struct problem *problem)
{
	unit_job_fn on_end = job->on_end;
	void *userdata = job->userdata;
	_cleanup_(freep) char *copy = strdup(result);

	unit_job_free(job);
	if (on_end)
		on_end(copy ?: "failed", problem, userdata);
}

/* systemd answers with our job's path before any signal about it: an unknown path is no reason to
 * wait. */
static void on_removed(struct unit_jobs *jobs, const char *path, const char *result)
{
	struct unit_job *job;

	LIST_FOREACH (job, jobs, entry) {
		if (!job->path || strcmp(path, job->path))
			continue;
		end_job(job, result, NULL);
		return;
	}
}

static void check(struct unit_job *job);

static void on_checked(sd_bus_message *answer, int error, void *userdata)
{
	struct unit_job *job = userdata;
	struct problem problem;

	if (error == -ETIMEDOUT)
		check(job);
	if (!answer || !sd_bus_message_is_method_error(answer, SD_BUS_ERROR_UNKNOWN_OBJECT))
		return;
	problem_set(&problem, 0, "systemd lost the bus meanwhile, and does not tell how it ended");
	end_job(job, "unknown", &problem);
}

/* Whether it is still there. If it is, its end will be told; if systemd is away again, it is
 * checked again when it is back. */
static void check(struct unit_job *job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (!job->path || job->call.link)
		return;
	r = sd_bus_message_new_method_call(unitlink_bus(job->link), &m, SYSTEMD, job->path,
					   PROPERTIES, "Get");
	if (r >= 0)
		r = sd_bus_message_append(m, "ss", SYSTEMD_JOB, "State");
	if (r >= 0)
		unitcall_send(&job->call, job->link, m, on_checked, job);
}

static void check_all(struct unit_jobs *jobs)
{
	struct unit_job *job;

	LIST_FOREACH (job, jobs, entry)
		check(job);
}

static void on_job_made(sd_bus_message *answer, int error, void *userdata)
{
	const sd_bus_error *words = answer ? sd_bus_message_get_error(answer) : NULL;
	struct unit_job *job = userdata;
	struct problem problem = {0};
	const char *path;

	if (!error && sd_bus_message_read(answer, "o", &path) >= 0)
		job->path = strdup(path);
	if (job->path)
		return;
	/* it may be carried out yet, when systemd comes to it */
	if (error == -ETIMEDOUT) {
		problem_set(&problem, 0,
			    "systemd does not answer; it may still do it when it does");
		end_job(job, "unknown", &problem);
		return;
	}
	problem_set(&problem, 0, "systemd refused: %s",
		    words && words->message ? words->message : "no answer");
	end_job(job, "failed", &problem);
}

int unit_job_send(sd_bus *bus, sd_bus_message *order, unit_job_fn on_end, void *userdata,
		  struct unit_job **ret_job)
{
	_cleanup_(unit_job_freep) struct unit_job *job = calloc(1, sizeof(*job));
	int r;

	if (!job)
		return -ENOMEM;
	job->on_end = on_end;
	job->userdata = userdata;
	job->link = unitlink_ref(bus);
	if (!job->link)
		return -ENOMEM;
	LIST_INSERT_HEAD(unitlink_jobs(job->link, on_removed, check_all), job, entry);
	job->call.urgent = true;
	r = unitcall_send(&job->call, job->link, order, on_job_made, job);
	if (r < 0)
		return r;
	*ret_job = steal_ptr(&job);
	return 0;
}

int unit_order_new(sd_bus *bus, enum unit_action action, const char *unit,
		   sd_bus_message **ret_order)
{
	int r = sd_bus_message_new_method_call(bus, ret_order, SYSTEMD, SYSTEMD_PATH,
					       SYSTEMD_MANAGER, orders[action].method);

	return r < 0 ? r : sd_bus_message_append(*ret_order, "ss", unit, orders[action].mode);
}

int unit_job_new(sd_bus *bus, enum unit_action action, const char *unit, unit_job_fn on_end,
		 void *userdata, struct unit_job **ret_job)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *order = NULL;
	int r = unit_order_new(bus, action, unit, &order);

	return r < 0 ? r : unit_job_send(bus, order, on_end, userdata, ret_job);
}
