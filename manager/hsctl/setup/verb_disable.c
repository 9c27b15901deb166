// SPDX-License-Identifier: GPL-2.0-or-later
/* disable: the files first, then hsd forgets the service, then the kernel chooses again. In this
 * order nobody makes anew what is taken away. */
#include "hsctl/setup/disable.h"

#include <string.h>
#include <syslog.h>

#include "hsctl/apart.h"
#include "hsctl/direct.h"
#include "hsctl/json.h"
#include "hsctl/path/pathleave.h"
#include "hsctl/setup/alias.h"
#include "hsctl/setup/filelist.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "plane/act/force.h"
#include "plane/act/served.h"
#include "plane/bpf/accounting.h"
#include "plane/bpf/guard.h"
#include "plane/bpf/mptcp.h"
#include "plane/bpf/own.h"
#include "plane/claim.h"
#include "plane/plane_front.h"
#include "system/configfile.h"
#include "system/journal.h"
#include "system/unit/unitload.h"

/* Any member gives back its whole group; the same group again is no harm. */
static int detach_unit(const struct direct *direct, const char *cgroup)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	size_t n = 0;
	int r = served_sockets(direct->plane, cgroup, &held, &n);

	if (r == -ENOENT)
		return 0;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		_cleanup_(close_fdp) int fd = -1;

		if (!plane_find(direct->plane, &held[i].socket.address))
			continue;
		r = scan_borrow(&held[i], &fd);
		/* what was refused here may be in a group of another service's */
		if (!r && claim_is_ours(direct->plane, fd))
			r = listener_detach(fd);
		if (r == -ESTALE)
			r = 0;
	}
	return r;
}

static void unwatch(struct accounting *accounting, const char *cgroup)
{
	struct guard *guard = accounting_guard(accounting);
	struct own *own = accounting_own(accounting);

	accounting_unwatch_cgroup(accounting, cgroup);
	if (guard)
		guard_leave_cgroup(guard, cgroup);
	if (own)
		own_leave_cgroup(own, cgroup);
}

struct detachment {
	const struct direct *direct;
	const char *cgroup;
};

static int do_detach(void *data)
{
	const struct detachment *detachment = data;

	return detach_unit(detachment->direct, detachment->cgroup);
}

static int detach_all(const struct direct *direct, struct problem *problem)
{
	struct detachment detachment = {.direct = direct};
	_cleanup_(force_freep) struct force *force = NULL;
	int r = 0;

	force_open(direct->service, &force);
	for (unsigned slot = 0; r >= 0 && slot < HS_SLOTS_MAX; slot++) {
		struct unit_facts facts = {0};

		direct_unit(direct, slot, &facts);
		detachment.cgroup = facts.control_group;
		if (facts.control_group[0])
			r = apart_run(do_detach, &detachment, sizeof(detachment), problem);
		if (facts.control_group[0] && force)
			force_detach(force, facts.control_group);
		if (facts.control_group[0])
			mptcp_allow(facts.control_group);
		if (facts.control_group[0] && direct->accounting)
			unwatch(direct->accounting, facts.control_group);
		unit_facts_done(&facts);
	}
	return r;
}

/* What has been given back. */
enum release { RELEASED_NOTHING, RELEASED_SOCKETS, RELEASED_FRONT };

/* 0 also when there was nothing. */
static int release(const char *service, enum release *ret_released, struct problem *problem)
{
	_cleanup_(direct_close) struct direct direct = {0};
	struct problem held = {0};
	int r = direct_open(service, &direct, problem);
	bool front;

	*ret_released = RELEASED_NOTHING;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (!direct.systemd)
		return problem_set(problem, -ENOTCONN,
				   "systemd cannot be asked where the instances of %s are, so the "
				   "kernel's choice was not given back",
				   service);
	front = plane_is_front(direct.plane);
	r = detach_all(&direct, &held);
	if (r >= 0)
		r = plane_destroy(direct.plane);
	if (r < 0)
		return problem_set(
			problem, r,
			"the kernel's choice could not be given back to %s: %.300s; stop "
			"and start its instances",
			service, held.text[0] ? held.text : strerror(-r));
	*ret_released = front ? RELEASED_FRONT : RELEASED_SOCKETS;
	return 0;
}

/* What there is of paths while the service is managed, and which of its units run. */
struct paths_before {
	struct pathlist list;
	unsigned running;
};

static struct paths_before look_at_paths(sd_bus *systemd, const char *service)
{
	struct paths_before before = {0};
	struct problem problem;
	char unit[UNIT_NAME_MAX];
	struct config config;

	if (configfile_load(service, &config, NULL) < 0)
		return before;
	for (unsigned i = 0; i < config.n_paths; i++)
		pathlist_add(&before.list, config.paths[i]);
	for (unsigned slot = 0; before.list.n && slot < HS_SLOTS_MAX; slot++) {
		_cleanup_(unit_facts_done) struct unit_facts facts = {0};

		if (!name_unit(service, slot, unit, sizeof(unit)) &&
		    units_query(systemd, unit, &facts, NULL) >= 0 && unit_lives(&facts))
			before.running |= 1U << slot;
	}
	if (before.running && pathleave_prepare(service, &problem) < 0)
		complain("%s", problem.text);
	return before;
}

/* Afterwards: nobody makes them anew any more. */
static int leave_paths(sd_bus *systemd, const char *service, const struct paths_before *before,
		       struct problem *problem)
{
	return pathleave_begin(systemd, service, &before->list, before->running, problem);
}

static void print_done(const struct arguments *arguments, const struct disable_result *result,
		       const char *message)
{
	_cleanup_(json_object_putp) json_object *object = NULL;

	if (!arguments->json) {
		filelist_print(&result->changes);
		puts(message);
		return;
	}
	object = json_object_new_object();
	json_object_object_add(object, "service", json_object_new_string(result->service));
	json_object_object_add(object, "removed", filelist_to_json(&result->changes));
	json_object_object_add(object, "saved_config",
			       result->saved_config ? json_object_new_string(result->saved_config)
						    : NULL);
	json_object_object_add(object, "message", json_object_new_string(message));
	puts(json_line(object));
}

static int refuse(const struct lint_report *report)
{
	char text[LINT_TEXT_MAX];

	for (size_t i = 0; i < report->n; i++)
		complain("%s", lint_format(&report->items[i], text));
	return EXIT_REFUSED;
}

static int finish(const struct arguments *arguments, sd_bus *systemd,
		  const struct disable_result *result, struct paths_before *before)
{
	struct journal_scope scope = {result->service, -1, LOG_NOTICE};
	struct problem problem = {0}, message = {0};
	bool made = filechanges_made(&result->changes) > 0;
	enum release released = RELEASED_NOTHING;
	int r;

	verb_tell_manager(arguments);
	if (result->vendor_config) {
		if (!arguments->json)
			filelist_print(&result->changes);
		complain("%s keeps %s managed; to turn that off: ln -s /dev/null " HS_SYSCONFDIR
			 "/hotstandby/%s.conf",
			 result->vendor_config, result->service, result->service);
		return EXIT_FAILED;
	}
	r = release(result->service, &released, &problem);
	if (r >= 0)
		r = leave_paths(systemd, result->service, before, &problem);
	/* of the last service without hsd; a running hsd does so when it stops */
	accounting_drop_unused();
	if (made || released)
		journal_log(JOURNAL_DISABLE, &scope, "%s was taken out of hotstandby.",
			    result->service);
	if (r < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	problem_set(&message, 0,
		    before->running ? "%s is out of hotstandby; its paths lead to an instance "
				      "that runs until none does."
		    : released == RELEASED_FRONT
			    ? "%s is no front any more; packets for it are this machine's own."
		    : made || released ? "%s is out of hotstandby; the kernel chooses again."
				       : "%s was not under hotstandby.",
		    result->service);
	print_done(arguments, result, message.text);
	return EXIT_DONE;
}

int verb_disable(const struct arguments *arguments)
{
	_cleanup_(disable_result_done) struct disable_result result = {0};
	_cleanup_(sd_bus_close_unrefp) sd_bus *systemd = direct_systemd();
	struct problem problem = {0};
	struct lint_report report = {0};
	char service[SERVICE_NAME_MAX] = "";
	struct paths_before before;

	if (!systemd) {
		complain("systemd cannot be told that the units changed; is this a booted system?");
		return EXIT_FAILED;
	}
	if (!name_from_template(arguments->given[0], service) &&
	    alias_let_go(systemd, service, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	before = look_at_paths(systemd, service);
	if (disable_apply(systemd, arguments->given[0], &report, &result, &problem) < 0) {
		complain("%s", problem.text);
		return EXIT_FAILED;
	}
	if (report.refused)
		return refuse(&report);
	return finish(arguments, systemd, &result, &before);
}

void disable_undone(const struct arguments *arguments, sd_bus *systemd, struct enable_plan *plan)
{
	bool first = enable_is_first(plan);
	struct paths_before before = {0};
	struct problem problem = {0};
	enum release released;
	struct config config;
	int r;

	if (first)
		before = look_at_paths(systemd, plan->service);
	r = filechanges_undo(&plan->changes, &problem);
	if (r >= 0)
		r = unitload_anew(systemd, &problem);
	verb_tell_manager(arguments);
	/* settings that were there before have hsd go on with the service */
	if (r >= 0 && first && configfile_load(plan->service, &config, NULL) == -ENOENT)
		r = release(plan->service, &released, &problem);
	if (r >= 0 && first)
		r = leave_paths(systemd, plan->service, &before, &problem);
	if (r < 0)
		complain("%s", problem.text);
	accounting_drop_unused();
}
