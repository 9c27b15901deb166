// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/unit/scope.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <systemd/sd-login.h>

#include "plane/kernel/cgroup.h"
#include "system/peer.h"
#include "system/unit/units.h"
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
	sd_bus *bus;
	int pidfd;
	sd_bus_message *by_number; /* for a systemd that takes no pidfd; NULL = it was sent */
	struct unit_job *job;
	sd_bus_slot *question;
	scope_fn on_end;
	void *userdata;
};

DEFINE_CLEANUP(struct scope, scope_free)

struct scope *scope_free(struct scope *scope)
{
	if (!scope)
		return NULL;
	unit_job_free(scope->job);
	sd_bus_slot_unref(scope->question);
	sd_bus_message_unref(scope->by_number);
	close_fd(scope->pidfd);
	free(scope);
	return NULL;
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
static int append_bond(sd_bus_message *m, const char *unit)
{
	if (strncmp(unit, SCOPE_SMOKE_PREFIX, strlen(SCOPE_SMOKE_PREFIX)))
		return 0;
	return sd_bus_message_append(m, "(sv)(sv)", "BindsTo", "as", 1, unit, "TimeoutStopUSec",
				     "t", SMOKE_STOP_USEC);
}

static int append_process(sd_bus_message *m, const struct scope_order *order)
{
	if (order->pidfd >= 0)
		return sd_bus_message_append(m, "(sv)", "PIDFDs", "ah", 1, order->pidfd);
	return sd_bus_message_append(m, "(sv)", "PIDs", "au", 1, (uint32_t)order->pid);
}

static int append_properties(sd_bus_message *m, const struct scope_order *order)
{
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	if (r >= 0)
		r = append_process(m, order);
	if (r >= 0)
		r = append_text(m, "Description", order->description);
	if (r >= 0 && order->slice[0])
		r = append_text(m, "Slice", order->slice);
	if (r >= 0)
		r = append_bond(m, order->unit);
	/* one that failed leaves nothing behind either */
	if (r >= 0)
		r = append_text(m, "CollectMode", "inactive-or-failed");
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int make_order(sd_bus *bus, const char *name, const struct scope_order *order,
		      sd_bus_message **ret_order)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(bus, &m, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					       "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(m, "ss", name, "fail");
	if (r >= 0)
		r = append_properties(m, order);
	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	if (r < 0)
		return r;
	*ret_order = steal_ptr(&m);
	return 0;
}

/* ---- without waiting ---- */

static void end(struct scope *scope, const char *cgroup, const char *why)
{
	_cleanup_(scope_freep) struct scope *owned = scope;
	struct problem problem;

	problem_set(&problem, 0, "systemd made no scope for the command: %s", why);
	owned->on_end(cgroup, cgroup ? NULL : &problem, owned->userdata);
}

/* A scope whose process has ended meanwhile is none. */
static int on_place(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *cgroup = "";

	(void)error;
	if (sd_bus_message_is_method_error(m, NULL) ||
	    sd_bus_message_read(m, "v", "s", &cgroup) < 0 || !cgroup_is_populated(cgroup))
		end(userdata, NULL, "has the process ended?");
	else
		end(userdata, cgroup, NULL);
	return 0;
}

static int ask_place(struct scope *scope)
{
	_cleanup_(freep) char *path = NULL;
	int r = sd_bus_path_encode(SYSTEMD_PATH "/unit", scope->name, &path);

	return r < 0 ? r
		     : sd_bus_call_method_async(scope->bus, &scope->question, SYSTEMD, path,
						"org.freedesktop.DBus.Properties", "Get", on_place,
						scope, "ss", SYSTEMD ".Scope", "ControlGroup");
}

static void on_job_end(const char *result, const struct problem *problem, void *userdata);

/* It was refused: by one that does not know what a pidfd is for, perhaps. */
static bool order_by_number(struct scope *scope)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *order = steal_ptr(&scope->by_number);

	return order && peer_lives(scope->pidfd) &&
	       unit_job_send(scope->bus, order, on_job_end, scope, &scope->job) >= 0;
}

static void on_job_end(const char *result, const struct problem *problem, void *userdata)
{
	struct scope *scope = userdata;

	scope->job = NULL; /* frees itself */
	if (problem && order_by_number(scope))
		return;
	if (strcmp(result, "done"))
		end(scope, NULL, problem ? problem->text : result);
	else if (ask_place(scope) < 0)
		end(scope, NULL, "out of memory");
}

static int make_orders(struct scope *scope, const struct scope_order *order,
		       sd_bus_message **ret_first)
{
	struct scope_order by_number = *order;
	int r;

	by_number.pidfd = -1;
	if (order->pidfd < 0)
		return make_order(scope->bus, scope->name, order, ret_first);
	scope->pidfd = fcntl(order->pidfd, F_DUPFD_CLOEXEC, 3);
	if (scope->pidfd < 0)
		return -errno;
	r = make_order(scope->bus, scope->name, &by_number, &scope->by_number);
	return r < 0 ? r : make_order(scope->bus, scope->name, order, ret_first);
}

int scope_new(sd_bus *bus, const struct scope_order *order, scope_fn on_end, void *userdata,
	      struct scope **ret_scope)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_(scope_freep) struct scope *scope = calloc(1, sizeof(*scope));
	int r;

	if (!scope)
		return -ENOMEM;
	scope->bus = bus;
	scope->pidfd = -1;
	scope->on_end = on_end;
	scope->userdata = userdata;
	r = make_name(scope->name);
	if (r >= 0)
		r = make_orders(scope, order, &m);
	if (r >= 0)
		r = unit_job_send(bus, m, on_job_end, scope, &scope->job);
	if (r < 0)
		return r;
	*ret_scope = steal_ptr(&scope);
	return 0;
}

/* ---- their end ---- */

struct scope_watch {
	sd_bus *bus;
	sd_bus_slot *match;
	scope_ended_fn on_ended;
	void *userdata;
};

static bool is_ours(const char *unit)
{
	return !strncmp(unit, PREFIX, strlen(PREFIX));
}

static int on_unit_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const struct scope_watch *watch = userdata;
	const char *unit, *path;

	(void)error;
	if (units_are_heard(watch->bus, m) && sd_bus_message_read(m, "so", &unit, &path) >= 0 &&
	    is_ours(unit))
		watch->on_ended(watch->userdata);
	return 0;
}

int scope_watch_new(sd_bus *bus, scope_ended_fn on_ended, void *userdata,
		    struct scope_watch **ret_watch)
{
	struct scope_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	*watch = (struct scope_watch) {.bus = bus, .on_ended = on_ended, .userdata = userdata};
	r = sd_bus_match_signal_async(bus, &watch->match, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
				      "UnitRemoved", on_unit_removed, NULL, watch);
	if (r < 0) {
		free(watch);
		return r;
	}
	*ret_watch = watch;
	return 0;
}

struct scope_watch *scope_watch_free(struct scope_watch *watch)
{
	if (!watch)
		return NULL;
	sd_bus_slot_unref(watch->match);
	free(watch);
	return NULL;
}

/* ---- for the caller itself ---- */

static int check_place(const char *name, char cgroup[PATH_MAX], struct problem *problem)
{
	const char *last;
	int r = cgroup_of_process(getpid(), cgroup);

	last = r < 0 ? NULL : strrchr(cgroup, '/');
	if (last && !strcmp(last + 1, name))
		return 0;
	return problem_set(problem, -ESRCH, "systemd made %s, but not for us", name);
}

int scope_enter(sd_bus *bus, const char *description, char cgroup[PATH_MAX],
		struct problem *problem)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_(freep) char *slice = NULL, *unit = NULL;
	char name[NAME_MAX_LEN];
	struct scope_order order = {.pid = getpid(), .pidfd = -1, .description = description};
	int r = make_name(name);

	order.slice = sd_pid_get_slice(0, &slice) >= 0 ? slice : "";
	order.unit = sd_pid_get_unit(0, &unit) >= 0 ? unit : "";
	if (r >= 0)
		r = make_order(bus, name, &order, &m);
	if (r < 0)
		return problem_set(problem, r, "cannot ask systemd for a scope: %s", strerror(-r));
	r = units_run_order(bus, m, name, ENTER_USEC, problem);
	return r ? r : check_place(name, cgroup, problem);
}
