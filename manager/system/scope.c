// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/scope.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <systemd/sd-login.h>

#include "plane/cgroup.h"
#include "system/units.h"
#include "util/macro.h"

#define SYSTEMD		"org.freedesktop.systemd1"
#define SYSTEMD_PATH	"/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER SYSTEMD ".Manager"

#define PREFIX	     "hotstandby-exec-"
#define SUFFIX	     ".scope"
#define NAME_MAX_LEN 64
#define ENTER_USEC   (10 * USEC_PER_SEC)

#define SMOKE_STOP_USEC (1 * USEC_PER_SEC)

struct scope {
	char name[NAME_MAX_LEN];
	pid_t pid;
	struct unit_job *job;
	scope_fn on_end;
	void *userdata;
};

DEFINE_CLEANUP(struct scope, scope_free)

struct scope *scope_free(struct scope *scope)
{
	if (!scope)
		return NULL;
	unit_job_free(scope->job);
	free(scope);
	return NULL;
}

bool scope_is_ours(const char *unit)
{
	return !strncmp(unit, PREFIX, strlen(PREFIX));
}

/* Not after the process: what it leaves in the background outlives its number. */
static int make_name(char name[NAME_MAX_LEN])
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	snprintf(name, NAME_MAX_LEN, PREFIX "%016" PRIx64 SUFFIX, number);
	return 0;
}

static int append_text(sd_bus_message *m, const char *property, const char *value)
{
	return sd_bus_message_append(m, "(sv)", property, "s", value);
}

/* A smoke test that is stopped leaves nothing behind; any other command outlives who has started
 * it. */
static int append_bond(sd_bus_message *m, pid_t pid)
{
	_cleanup_(freep) char *unit = NULL;

	if (sd_pid_get_unit(pid, &unit) < 0 ||
	    strncmp(unit, SCOPE_SMOKE_PREFIX, strlen(SCOPE_SMOKE_PREFIX)))
		return 0;
	return sd_bus_message_append(m, "(sv)(sv)", "BindsTo", "as", 1, unit, "TimeoutStopUSec",
				     "t", SMOKE_STOP_USEC);
}

static int append_properties(sd_bus_message *m, pid_t pid, const char *description)
{
	_cleanup_(freep) char *slice = NULL;
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "PIDs", "au", 1, (uint32_t)pid);
	if (r >= 0)
		r = append_text(m, "Description", description);
	if (r >= 0 && sd_pid_get_slice(pid, &slice) >= 0 && slice)
		r = append_text(m, "Slice", slice);
	if (r >= 0)
		r = append_bond(m, pid);
	/* one that failed leaves nothing behind either */
	if (r >= 0)
		r = append_text(m, "CollectMode", "inactive-or-failed");
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int make_order(sd_bus *bus, const char *name, pid_t pid, const char *description,
		      sd_bus_message **ret_order)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					       "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(m, "ss", name, "fail");
	if (r >= 0)
		r = append_properties(m, pid, description);
	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	if (r < 0)
		return r;
	*ret_order = steal_ptr(&m);
	return 0;
}

/* A process that is elsewhere has ended meanwhile, or systemd has other ideas of where it is. */
static int check_place(const char *name, pid_t pid, char cgroup[PATH_MAX], struct problem *problem)
{
	const char *last;
	int r = cgroup_of_process(pid, cgroup);

	last = r < 0 ? NULL : strrchr(cgroup, '/');
	if (last && !strcmp(last + 1, name))
		return 0;
	return problem_set(problem, -ESRCH,
			   "systemd made %s for process %d, which is not there; has it ended?",
			   name, (int)pid);
}

static void on_job_end(const char *result, const struct problem *problem, void *userdata)
{
	_cleanup_(scope_freep) struct scope *scope = userdata;
	struct problem own = {0};
	char cgroup[PATH_MAX];

	scope->job = NULL; /* frees itself */
	if (strcmp(result, "done"))
		problem_set(&own, 0, "systemd made no scope for the command: %s",
			    problem ? problem->text : result);
	else if (!check_place(scope->name, scope->pid, cgroup, &own)) {
		scope->on_end(cgroup, NULL, scope->userdata);
		return;
	}
	scope->on_end(NULL, &own, scope->userdata);
}

int scope_new(sd_bus *bus, pid_t pid, const char *description, scope_fn on_end, void *userdata,
	      struct scope **ret_scope)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *order = NULL;
	_cleanup_(scope_freep) struct scope *scope = calloc(1, sizeof(*scope));
	int r;

	if (!scope)
		return -ENOMEM;
	scope->pid = pid;
	scope->on_end = on_end;
	scope->userdata = userdata;
	r = make_name(scope->name);
	if (r >= 0)
		r = make_order(bus, scope->name, pid, description, &order);
	if (r >= 0)
		r = unit_job_send(bus, order, on_job_end, scope, &scope->job);
	if (r < 0)
		return r;
	*ret_scope = steal_ptr(&scope);
	return 0;
}

int scope_enter(sd_bus *bus, const char *description, char cgroup[PATH_MAX],
		struct problem *problem)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *order = NULL;
	char name[NAME_MAX_LEN];
	int r = make_name(name);

	if (r >= 0)
		r = make_order(bus, name, getpid(), description, &order);
	if (r < 0)
		return problem_set(problem, r, "cannot ask systemd for a scope: %s", strerror(-r));
	r = units_run_order(bus, order, name, ENTER_USEC, problem);
	return r ? r : check_place(name, getpid(), cgroup, problem);
}
