// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsd/exec_run.h"

#include <grp.h>
#include <json-c/json.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "hsd/bus.h"
#include "plane/exec.h"
#include "plane/preview.h"
#include "system/journal.h"
#include "system/scope.h"
#include "util/macro.h"

#define GROUP	   "hotstandby"
#define GROUPS_MAX 1024

struct exec_run {
	struct service *service;
	unsigned slot;
	struct exec_caller caller;
	sd_bus_message *message;
	struct scope *scope;
	struct exec_run *next;
};

/* ---- who may ---- */

/* By the user database, not by what /proc says of the process: its number may be another's by now.
 * A slow database is asked about users who are not root only, and only where there is the group. */
static bool is_member(uid_t uid)
{
	const struct group *group = getgrnam(GROUP);
	gid_t gid = group ? group->gr_gid : 0, groups[GROUPS_MAX];
	const struct passwd *user = group ? getpwuid(uid) : NULL;
	int n = GROUPS_MAX;

	if (!user || getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0)
		return false;
	for (int i = 0; i < n; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

/* The connection to the bus may have been made by a process that is gone, whose number another
 * user's has: that one is not to be moved. */
static bool is_of(pid_t pid, uid_t uid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return stat(path, &st) == 0 && st.st_uid == uid;
}

int exec_caller_of(sd_bus_message *m, struct exec_caller *ret_caller, struct problem *problem)
{
	_cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
	struct exec_caller caller;
	int r = sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID | SD_BUS_CREDS_PID, &creds);

	if (r >= 0)
		r = sd_bus_creds_get_euid(creds, &caller.uid);
	if (r >= 0)
		r = sd_bus_creds_get_pid(creds, &caller.pid);
	if (r < 0)
		return problem_set(problem, r, "the bus does not say who asks: %s", strerror(-r));
	if (caller.uid && !is_member(caller.uid))
		return problem_set(problem, -EPERM,
				   "only root and members of the group " GROUP
				   " may do this; run it with sudo");
	if (!is_of(caller.pid, caller.uid))
		return problem_set(problem, -ESRCH, "the process that asks cannot be found");
	*ret_caller = caller;
	return 0;
}

/* ---- the run ---- */

static void unlink_run(struct exec_run *run)
{
	struct exec_run **place = &run->service->execs;

	while (*place && *place != run)
		place = &(*place)->next;
	if (*place)
		*place = run->next;
}

static struct exec_run *exec_run_free(struct exec_run *run)
{
	if (!run)
		return NULL;
	scope_free(run->scope);
	sd_bus_message_unref(run->message);
	free(run);
	return NULL;
}

DEFINE_CLEANUP(struct exec_run, exec_run_free)

void exec_run_forget_all(struct service *service)
{
	struct exec_run *run;

	while ((run = service->execs)) {
		service->execs = run->next;
		sd_bus_reply_method_errorf(run->message, BUS_ERROR_FAILED, "%s is managed no more",
					   service->name);
		exec_run_free(run);
	}
}

static void tell(const struct exec_run *run, const char *cgroup)
{
	struct journal_scope scope = {run->service->name, run->slot, LOG_INFO};

	journal_log(JOURNAL_EXEC, &scope,
		    "%s: what process %d of user %u starts sends its connections to slot %u (%s)",
		    run->service->name, (int)run->caller.pid, run->caller.uid, run->slot, cgroup);
}

static int answer(const struct exec_run *run, const char *cgroup, int counts)
{
	json_object *object = json_object_new_object();
	int r;

	json_object_object_add(object, "service", json_object_new_string(run->service->name));
	json_object_object_add(object, "slot", json_object_new_int(run->slot));
	json_object_object_add(object, "cgroup", json_object_new_string(cgroup));
	r = sd_bus_reply_method_return(
		run->message, "sh",
		json_object_to_json_string_ext(object, JSON_C_TO_STRING_NOSLASHESCAPE), counts);
	json_object_put(object);
	return r;
}

static int attach(const struct exec_run *run, const char *cgroup, struct problem *problem)
{
	_cleanup_(close_fdp) int counts = -1;
	struct exec_order order = {.cgroup = cgroup, .slot = run->slot, .pid = run->caller.pid};
	int r;

	/* it may have ended while the scope was made */
	if (!exec_may(run->service->plane, run->slot, problem))
		return -ENOENT;
	r = exec_attach(run->service->plane, &order, &counts, problem);
	if (r < 0)
		return r;
	tell(run, cgroup);
	return answer(run, cgroup, counts);
}

static void on_scope(const char *cgroup, const struct problem *problem, void *userdata)
{
	_cleanup_(exec_run_freep) struct exec_run *run = userdata;
	struct problem own = {0};

	run->scope = NULL; /* frees itself */
	unlink_run(run);
	if (!cgroup || attach(run, cgroup, &own) < 0)
		sd_bus_reply_method_errorf(run->message, BUS_ERROR_FAILED, "%s",
					   cgroup ? own.text : problem->text);
}

int exec_run_start(struct service *service, unsigned slot, const struct exec_caller *caller,
		   sd_bus_message *message)
{
	_cleanup_(exec_run_freep) struct exec_run *run = calloc(1, sizeof(*run));
	char description[SERVICE_NAME_MAX + 64];
	int r;

	if (!run)
		return -ENOMEM;
	run->service = service;
	run->slot = slot;
	run->caller = *caller;
	run->message = sd_bus_message_ref(message);
	snprintf(description, sizeof(description), "hsctl exec %s %u", service->name, slot);
	r = scope_new(service->context->bus, caller->pid, description, on_scope, run, &run->scope);
	if (r < 0)
		return r;
	run->next = service->execs;
	service->execs = steal_ptr(&run);
	return 0;
}

/* ---- the end ---- */

static int on_unit_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const struct manager *manager = userdata;
	const char *unit, *path;

	(void)error;
	if (sd_bus_message_read(m, "so", &unit, &path) < 0 || !scope_is_ours(unit))
		return 0;
	for (size_t i = 0; i < manager->n_services; i++) {
		const struct service *service = manager->services[i];

		if (service->plane && plane_has_preview(service->plane))
			preview_sweep(service->plane);
	}
	return 0;
}

int exec_run_watch(struct manager *manager, sd_bus_slot **ret_match)
{
	return sd_bus_match_signal_async(manager->context.bus, ret_match,
					 "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
					 "org.freedesktop.systemd1.Manager", "UnitRemoved",
					 on_unit_removed, NULL, manager);
}
