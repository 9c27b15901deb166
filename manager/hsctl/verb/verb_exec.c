// SPDX-License-Identifier: GPL-2.0-or-later
/* exec: a command whose connections to a service land on one slot. */
#include <string.h>

#include "hsctl/direct.h"
#include "hsctl/path/pathexec.h"
#include "hsctl/verb/child.h"
#include "hsctl/verb/verb.h"
#include "hsctl/verb_functions.h"
#include "plane/kernel/cgroup.h"
#include "plane/preview/exec.h"
#include "plane/preview/preview.h"
#include "system/configfile.h"
#include "system/unit/scope.h"
#include "util/macro.h"
#include "util/parse.h"

/* What holds while the command runs. */
struct stage {
	char service[SERVICE_NAME_MAX];
	unsigned slot;
	int counts;
	struct config config; /* with paths of AF_UNIX sockets, perhaps */
	struct pathexec_mark mark;
	struct direct direct; /* without hsd; else empty */
	char cgroup[PATH_MAX];
};

/* ---- without hsd ---- */

static int enter_scope(struct stage *stage, struct problem *problem)
{
	char description[SERVICE_NAME_MAX + 64];

	if (!stage->direct.systemd)
		return problem_set(
			problem, -ENOTCONN,
			"systemd cannot be reached, and it is needed to tell the command "
			"from others: it runs in a scope of its own");
	snprintf(description, sizeof(description), "hsctl exec %s %u", stage->service, stage->slot);
	return scope_enter(stage->direct.systemd, description, stage->cgroup, problem);
}

static int prepare_directly(struct stage *stage, struct reply *reply)
{
	struct exec_order order = {.slot = stage->slot,
				   .pid = getpid(),
				   .cgroup = stage->cgroup,
				   .front = &stage->config.front};
	struct problem problem = {0};

	if (direct_open(stage->service, &stage->direct, &problem) < 0)
		return reply_fail(reply, EXIT_FAILED, "%s", problem.text);
	if (!exec_may(stage->direct.plane, stage->config.slots, stage->slot, &problem))
		return reply_fail(reply, EXIT_REFUSED, "%s", problem.text);
	/* what earlier commands have left for want of a hsd */
	exec_sweep(stage->direct.plane);
	if (enter_scope(stage, &problem) < 0 ||
	    exec_attach(stage->direct.plane, &order, &stage->counts, &problem) < 0)
		return reply_fail(reply, EXIT_FAILED, "%s", problem.text);
	return EXIT_DONE;
}

static int is_other(pid_t pid, void *userdata)
{
	(void)userdata;
	return pid != getpid();
}

/* What the command has left in the background goes on reaching the slot; the next hsd, or the next
 * exec, clears up after it. */
static void clear_up_directly(struct stage *stage)
{
	struct hs_preview_owner_id owner;

	if (stage->counts >= 0 && !cgroup_each_process(stage->cgroup, is_other, NULL) &&
	    !owner_of_cgroup(stage->cgroup, &owner))
		exec_end(stage->direct.plane, &owner);
}

/* ---- both ---- */

static int prepare(const struct arguments *arguments, struct stage *stage, struct reply *reply)
{
	struct client_call call = {
		.service = stage->service,
		.method = "Exec",
		.timeout_usec = verb_timeout(arguments, VERB_TIMEOUT),
		.ret_fd = &stage->counts,
	};
	enum client_answer answer = client_ask(arguments, &call, reply, "u", stage->slot);

	if (!verb_may_do_directly(arguments, answer))
		return reply->exit;
	*reply = (struct reply) {0};
	return prepare_directly(stage, reply);
}

static int enter_paths(struct stage *stage, struct reply *reply)
{
	struct problem problem = {0};

	if (!stage->config.n_paths)
		return EXIT_DONE;
	if (pathexec_enter(stage->service, stage->slot, &stage->config, &problem) < 0)
		return reply_fail(reply, EXIT_FAILED, "%s", problem.text);
	pathexec_note(stage->service, stage->slot, &stage->config, &stage->mark);
	return EXIT_DONE;
}

/* What it has left in the background may connect yet. */
static bool has_ended(void)
{
	char cgroup[PATH_MAX];

	return cgroup_of_process(getpid(), cgroup) < 0 ||
	       !cgroup_each_process(cgroup, is_other, NULL);
}

/* At a path nothing counts connections; but that there was none is seen. */
static bool may_have_connected(const struct stage *stage)
{
	return stage->config.n_paths &&
	       !pathexec_was_silent(stage->service, stage->slot, &stage->config, &stage->mark);
}

/* Whether it is known to have made no connection. */
static bool tell_what_missed(const struct stage *stage, int status)
{
	bool ran = status != EXIT_NOT_FOUND && status != EXIT_CANNOT_RUN;
	struct hs_exec_counts counts;
	struct problem sentence;

	if (exec_counts(stage->counts, &counts) < 0)
		return false;
	if (!counts.begun && !counts.blocked && (may_have_connected(stage) || !ran || !has_ended()))
		return false;
	exec_describe(stage->service, stage->slot, &counts, &sentence);
	if (sentence.text[0])
		complain("%s", sentence.text);
	return !counts.begun && !counts.blocked;
}

static int run(const struct arguments *arguments, struct stage *stage)
{
	_cleanup_(reply_done) struct reply reply = {0};
	int status;

	if (prepare(arguments, stage, &reply) || enter_paths(stage, &reply)) {
		complain("%s", reply.problem.text);
		return reply.exit;
	}
	status = child_run(arguments->command);
	if (tell_what_missed(stage, status) && arguments->must_connect && !status)
		status = EXIT_FAILED;
	if (stage->direct.plane)
		clear_up_directly(stage);
	return status;
}

int verb_exec(const struct arguments *arguments)
{
	struct stage stage = {.counts = -1};
	uint64_t slot;
	int status;

	if (verb_service(arguments, stage.service))
		return EXIT_USAGE;
	if (parse_unsigned(arguments->given[1], 0, HS_SLOTS_MAX - 1, &slot) < 0) {
		complain("a slot is a number from 0 to 15, such as: hsctl exec %s 1 -- COMMAND",
			 stage.service);
		return EXIT_USAGE;
	}
	stage.slot = slot;
	if (configfile_load(stage.service, &stage.config, NULL) < 0)
		config_init(&stage.config);
	status = run(arguments, &stage);
	direct_close(&stage.direct);
	close_fd(stage.counts);
	return status;
}
