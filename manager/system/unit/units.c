// SPDX-License-Identifier: GPL-2.0-or-later
/* What waits for systemd's answer, and orders that nobody waits for. */
#include "system/unit/units.h"

#include <signal.h>
#include <string.h>

#include "system/unit/unitlink.h"
#include "util/clock.h"

bool units_are_heard(sd_bus *bus, sd_bus_message *signal)
{
	return unitlink_hears(bus, signal);
}

int units_query(sd_bus *bus, const char *unit, struct unit_facts *ret_facts,
		struct problem *problem)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(freep) char *path = NULL;
	int r = unit_path(unit, &path);

	if (r >= 0)
		r = sd_bus_call_method(bus, SYSTEMD, path, PROPERTIES, "GetAll", &error, &reply,
				       "s", "");
	if (r >= 0)
		r = unit_facts_read(reply, ret_facts);
	if (r < 0)
		problem_set(problem, r, "cannot ask systemd about %s: %s", unit,
			    error.message ?: strerror(-r));
	sd_bus_error_free(&error);
	return r < 0 ? r : 0;
}

void units_continue(sd_bus *bus, const char *unit)
{
	sd_bus_call_method_async(bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "KillUnit",
				 NULL, NULL, "ssi", unit, "all", SIGCONT);
}

struct job_wait {
	bool ended;
	char result[32];
	struct problem problem;
};

static void on_waited(const char *result, const struct problem *problem, void *userdata)
{
	struct job_wait *wait = userdata;

	wait->ended = true;
	snprintf(wait->result, sizeof(wait->result), "%s", result);
	if (problem)
		wait->problem = *problem;
}

static int process_until(sd_bus *bus, const struct job_wait *wait, uint64_t deadline)
{
	uint64_t now;
	int r;

	while (!wait->ended) {
		r = sd_bus_process(bus, NULL);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		now = now_usec();
		if (now >= deadline)
			return -ETIMEDOUT;
		r = sd_bus_wait(bus, deadline - now);
		if (r < 0 && r != -EINTR)
			return r;
	}
	return 0;
}

int units_run_order(sd_bus *bus, sd_bus_message *order, const char *unit, uint64_t timeout_usec,
		    struct problem *problem)
{
	struct job_wait wait = {0};
	struct unit_job *job = NULL;
	int r = unit_job_send(bus, order, on_waited, &wait, &job);

	if (r >= 0)
		r = process_until(bus, &wait, now_usec() + timeout_usec);
	if (r < 0 && !wait.ended)
		unit_job_free(job);
	if (r < 0 && !wait.ended)
		return problem_set(problem, r, "%s %s: %s", sd_bus_message_get_member(order), unit,
				   strerror(-r));
	if (strcmp(wait.result, "done"))
		/* sending it has moved its fields */
		return problem_set(problem, -EIO, "%s %s ended as \"%s\"%s%s",
				   sd_bus_message_get_member(order), unit, wait.result,
				   wait.problem.text[0] ? ": " : "", wait.problem.text);
	return 0;
}

int units_run_job(sd_bus *bus, enum unit_action action, const char *unit, uint64_t timeout_usec,
		  struct problem *problem)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *order = NULL;
	int r = unit_order_new(bus, action, unit, &order);

	if (r < 0)
		return problem_set(problem, r, "systemd cannot be told what to do with %s: %s",
				   unit, strerror(-r));
	return units_run_order(bus, order, unit, timeout_usec, problem);
}

int units_kill(sd_bus *bus, const char *unit, int signal, struct problem *problem)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "KillUnit", &error,
				   NULL, "ssi", unit, "all", signal);

	return r < 0 ? problem_set(problem, r, "cannot send a signal to %s: %s", unit,
				   error.message ?: strerror(-r))
		     : 0;
}

void units_reset_failed(sd_bus *bus, const char *unit)
{
	(void)sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "ResetFailedUnit",
				 NULL, NULL, "s", unit);
}
