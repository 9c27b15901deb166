// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/whole/exec_run.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <syslog.h>

#include "plane/plane_front.h"
#include "plane/preview/exec.h"
#include "service/change/smoke.h"
#include "service/later.h"
#include "service/rules.h"
#include "service/slot/orders.h"
#include "system/journal.h"
#include "system/peer.h"
#include "system/unit/scope.h"
#include "util/macro.h"

/* On their way at a time, of one service: everybody may ask. */
#define RUNS_MAX 64

struct exec_run {
	struct service *service;
	unsigned slot;
	struct peer peer; /* with a pidfd of ours */
	struct request *request;
	struct peer_question *question;
	struct scope *scope;
	struct exec_run *next;
	char cgroup[PATH_MAX];
	struct work *work; /* its namespace is being looked for */
	struct netns netns;
};

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
	peer_question_free(run->question);
	scope_free(run->scope);
	work_forget(run->work);
	request_free(run->request);
	close_fd(run->peer.pidfd);
	free(run);
	return NULL;
}

DEFINE_CLEANUP(struct exec_run, exec_run_free)

void exec_run_forget_all(struct service *service)
{
	struct exec_run *run;

	while ((run = service->execs)) {
		service->execs = run->next;
		run->request = request_fail(run->request, REQUEST_FAILED, "%s is managed no more",
					    service->name);
		exec_run_free(run);
	}
}

static void tell(const struct exec_run *run, const char *cgroup)
{
	struct journal_scope scope = {run->service->name, run->slot, LOG_INFO};
	struct journal_deed deed = {
		.verb = journal_kind_to_string(JOURNAL_EXEC),
		.outcome = "done",
		.from = -1,
		.to = (int)run->slot,
	};

	request_actor(run->request, &deed.by);
	journal_log_deed(
		JOURNAL_EXEC, &scope, &deed,
		"%s: what process %d of user %u starts sends its connections to slot %u (%s)",
		run->service->name, (int)run->peer.pid, run->peer.uid, run->slot, cgroup);
}

static void answer(struct exec_run *run, const char *cgroup, int counts)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "service", json_object_new_string(run->service->name));
	json_object_object_add(object, "slot", json_object_new_int(run->slot));
	json_object_object_add(object, "cgroup", json_object_new_string(cgroup));
	run->request = request_done_with(run->request, object, counts);
}

static int attach(struct exec_run *run, struct problem *problem)
{
	_cleanup_(close_fdp) int counts = -1;
	const char *cgroup = run->cgroup;
	struct exec_order order = {.cgroup = cgroup,
				   .slot = run->slot,
				   .netns = &run->netns,
				   .front = &run->service->config.front};
	int r;

	/* it may have ended while the scope was made */
	if (!exec_may(run->service->plane, run->service->n_slots, run->slot, problem))
		return -ENOENT;
	r = exec_attach(run->service->plane, &order, &counts, problem);
	if (r < 0)
		return r;
	smoke_note(run->service, run->slot, run->peer.unit, cgroup, counts);
	tell(run, cgroup);
	answer(run, cgroup, counts);
	return 0;
}

static void end(struct exec_run *run, const struct problem *problem)
{
	unlink_run(run);
	if (problem)
		run->request = request_fail(run->request, REQUEST_FAILED, "%s", problem->text);
	exec_run_free(run);
}

static const struct problem ended = {"the process that asks has ended"};

static int try_attach(void *userdata, enum later_try try)
{
	struct exec_run *run = userdata;
	struct problem problem = {0};
	int r;

	/* who drops it forgets all runs next */
	if (try == LATER_DROP)
		return 0;
	r = attach(run, &problem);
	if (r == -EBUSY && try == LATER_TRY)
		return r;
	end(run, r < 0 ? &problem : NULL);
	return 0;
}

static void on_netns(struct work_answer *answer, void *userdata)
{
	struct exec_run *run = userdata;
	int r = answer->result;

	run->work = NULL;
	/* else it is of who has its number now */
	if (!r && !peer_lives(run->peer.pidfd)) {
		end(run, &ended);
		return;
	}
	if (r < 0) {
		end(run, &answer->problem);
		return;
	}
	run->netns = NETNS_OWN;
	if (answer->size == sizeof(run->netns.inode))
		memcpy(&run->netns.inode, answer->data, sizeof(run->netns.inode));
	later_do(run->service, LATER_PATIENCE, try_attach, run);
}

static void on_scope(const char *cgroup, const struct problem *problem, void *userdata)
{
	struct exec_run *run = userdata;
	struct work_order order = {.kind = WORK_NETNS, .slot = HS_SLOT_NONE, .pid = run->peer.pid};
	struct problem none = {"no process could be told to look at it: no memory"};
	struct order_scope nobody = {.left_out = UINT32_MAX};

	run->scope = NULL; /* frees itself */
	if (!cgroup || !peer_lives(run->peer.pidfd)) {
		end(run, cgroup ? &ended : problem);
		return;
	}
	snprintf(run->cgroup, sizeof(run->cgroup), "%s", cgroup);
	if (service_order(run->service, &nobody, &order, on_netns, run, &run->work) < 0)
		end(run, &none);
}

/* ---- who may ---- */

/* Whoever has the right to ask. A unit's restrictions are those of its control group, which the
 * command leaves. */
static bool may(const struct peer *peer, struct problem *ret_refusal)
{
	if (!peer->uid || peer_is_in_session(peer))
		return true;
	problem_set(ret_refusal, 0,
		    "the command would leave %s, and with it what that unit may not do, which is "
		    "for root only; run it in a session of your own (ssh, login, systemd-run "
		    "--user), or with sudo",
		    peer->unit[0] ? peer->unit : "the control group that it is in");
	return false;
}

static void refuse(struct exec_run *run, const char *words)
{
	unlink_run(run);
	run->request = request_fail(run->request, REQUEST_FAILED, "%s", words);
	exec_run_free(run);
}

static void on_peer(const struct peer *peer, const struct problem *problem, void *userdata)
{
	struct exec_run *run = userdata;
	struct problem refusal = {0};
	char description[SERVICE_NAME_MAX + 64];
	struct scope_order order = {.description = description};
	int r;

	run->question = NULL; /* frees itself */
	if (!peer || !may(peer, &refusal)) {
		refuse(run, peer ? refusal.text : problem->text);
		return;
	}
	run->peer = *peer;
	run->peer.pidfd = fcntl(peer->pidfd, F_DUPFD_CLOEXEC, 3);
	order.pid = peer->pid;
	order.pidfd = peer->pidfd;
	order.unit = peer->unit;
	order.slice = peer->slice;
	snprintf(description, sizeof(description), "hsctl exec %s %u", run->service->name,
		 run->slot);
	r = scope_new(run->service->host->bus, &order, on_scope, run, &run->scope);
	if (r < 0)
		refuse(run, strerror(-r));
}

static unsigned count_runs(const struct service *service)
{
	unsigned n = 0;

	for (const struct exec_run *run = service->execs; run; run = run->next)
		n++;
	return n;
}

void exec_run_start(struct service *service, unsigned slot, struct request *request)
{
	_cleanup_(exec_run_freep) struct exec_run *run = NULL;
	int r;

	if (count_runs(service) >= RUNS_MAX) {
		request_fail_errno(request, -EBUSY);
		return;
	}
	run = calloc(1, sizeof(*run));
	if (!run) {
		request_fail_errno(request, -ENOMEM);
		return;
	}
	run->service = service;
	run->peer.pidfd = -1;
	run->slot = slot;
	run->request = request;
	r = request->ops->ask_peer(request, on_peer, run, &run->question);
	if (r < 0) {
		run->request = request_fail_errno(request, r);
		return;
	}
	run->next = service->execs;
	service->execs = steal_ptr(&run);
}

/* ---- the end ---- */

/* With hundreds of services most have none, and to look for that is one load. */
void exec_run_sweep(struct service *service)
{
	if (service->plane && (plane_is_front(service->plane) || plane_has_preview(service->plane)))
		rules_sweep(service);
}
