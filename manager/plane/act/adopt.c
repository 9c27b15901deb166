// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/adopt.h"

#include <string.h>

#include "plane/act/adopt_judge.h"
#include "plane/act/served.h"
#include "plane/borrow/borrow.h"
#include "plane/kernel/descriptors.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct adoption, adoption_free)

struct adoption *adoption_free(struct adoption *adoption)
{
	if (!adoption)
		return NULL;
	for (size_t i = 0; i < adoption->n_helpers; i++)
		close_fd(adoption->helpers[i]);
	for (size_t i = 0; adoption->twins && i < adoption->n; i++)
		close_fd(adoption->twins[i]);
	free(adoption->twins);
	for (size_t i = 0; i < adoption->n_namespaces; i++)
		close_fd(adoption->namespaces[i]);
	free(adoption->helpers);
	free(adoption->sockets);
	free(adoption);
	return NULL;
}

bool adoption_path_matters(const struct adoption *adoption)
{
	return adoption->adopted <= adoption->n_paths;
}

/* ---- whose sockets they are ---- */

static bool is_known(const struct plane *plane, unsigned slot, const struct held_socket *held)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	for (size_t i = 0; i < n; i++)
		if (address_equal(&listeners[i]->address, &held->socket.address) &&
		    listener_had(listeners[i], slot, held->socket.cookie))
			return true;
	return false;
}

/* At a path that the slot has been adopted at. */
static bool has_known_path(const struct plane *plane, unsigned slot, const char *cgroup)
{
	struct found_path found[HS_PATHS_MAX];
	char paths[HS_PATHS_MAX][HS_PATH_MAX];
	const char *live[HS_PATHS_MAX];
	struct pathscan scan = {plane_service(plane), cgroup, slot,
				(const char(*)[HS_PATH_MAX])paths,
				paths_live(plane_paths(plane), live)};
	struct problem problem;
	unsigned n = 0;

	for (unsigned i = 0; i < scan.n_paths; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s", live[i]);
	if (!scan.n_paths || pathscan_find(&scan, found, &n, &problem) < 0)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (paths_had(plane_paths(plane), slot, found[i].listener.cookie))
			return true;
	return false;
}

bool adopt_is_occupied(const struct plane *plane, unsigned slot, const char *cgroup)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	size_t n;

	if (served_sockets(plane, cgroup, &held, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (is_known(plane, slot, &held[i]))
			return true;
	return has_known_path(plane, slot, cgroup);
}

/* Whether the slot is suspect and still occupied by the instance that made it so. */
static bool still_suspect(struct plane *plane, unsigned slot, const struct adoption *adoption)
{
	if (!plane_is_suspect(plane, slot))
		return false;
	for (size_t i = 0; i < adoption->n; i++)
		if (is_known(plane, slot, &adoption->sockets[i].held))
			return true;
	for (unsigned i = 0; i < adoption->n_paths; i++)
		if (paths_had(plane_paths(plane), slot, adoption->paths[i].listener.cookie))
			return true;
	/* it may have no sockets yet; then the next adoption tells */
	if (adoption->n || adoption->n_paths)
		plane_set_suspect(plane, slot, false);
	return false;
}

/* ---- finding and judging them ---- */

static int explain_scan(const char *cgroup, int error, struct problem *problem)
{
	if (error == -E2BIG)
		return problem_set(
			problem, error,
			"its processes have too many descriptors to be looked through "
			"for sockets: more than %d of them, %d processes or %d s of CPU; "
			"lower LimitNOFILE= or TasksMax= of its unit",
			DESCRIPTORS_MAX, LEND_PROCESSES_MAX,
			(int)(DESCRIPTORS_USEC_MAX / USEC_PER_SEC));
	if (error == -ENOTCONN)
		return problem_set(problem, error,
				   "hs-borrow, which looks for its sockets, does not answer on %s; "
				   "see systemctl status hs-borrow.socket",
				   BORROW_SOCKET);
	return problem_set(problem, error, "cannot look for sockets in cgroup %s: %s", cgroup,
			   strerror(-error));
}

uint64_t adopt_path_mark(const struct found_path *found)
{
	struct held_socket held = {.socket.cookie = found->listener.cookie};

	return scan_mark(&held);
}

static int find_paths(const struct plane *plane, const struct adopt_scope *scope,
		      struct adoption *adoption)
{
	struct pathscan scan = {
		.service = plane_service(plane),
		.cgroup = scope->cgroup,
		.slot = scope->slot,
		.paths = scope->paths,
		.n_paths = scope->n_paths,
	};

	return pathscan_find(&scan, adoption->paths, &adoption->n_paths, &adoption->path_problem);
}

static int judge_all(struct plane *plane, const struct adopt_scope *scope,
		     struct adoption *adoption, struct problem *problem)
{
	size_t kept = 0;
	int r;

	for (size_t i = 0; i < adoption->n; i++) {
		r = adopt_judge(plane, scope, adoption, &adoption->sockets[i]);
		if (r == -EPERM || r == -EACCES)
			return problem_set(problem, r,
					   "no permission to borrow a socket of process %d; this "
					   "needs root with CAP_SYS_PTRACE",
					   adoption->sockets[i].held.pid);
		if (r == -ESTALE)
			continue;
		if (r < 0)
			adopt_refuse(&adoption->sockets[i], r);
		adoption->sockets[kept++] = adoption->sockets[i];
	}
	adoption->n = kept;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct listening_socket *left = &((const struct adopted_socket *)a)->held.socket;
	const struct listening_socket *right = &((const struct adopted_socket *)b)->held.socket;

	if (left->address.port != right->address.port)
		return left->address.port < right->address.port ? -1 : 1;
	return left->cookie < right->cookie ? -1 : left->cookie > right->cookie;
}

static void explain_blind(int blind, struct problem *ret_sentence)
{
	if (blind == -EOVERFLOW)
		problem_set(ret_sentence, 0,
			    "more than %d sockets listen on this machine, too many to look "
			    "through; of its sockets those alone are seen that its processes, "
			    "systemd or its socket unit have opened, or that were known before; "
			    "see ss -s for whose they are",
			    DIAG_LISTENING_MAX);
	else if (blind)
		problem_set(ret_sentence, 0,
			    "the network namespace of its processes cannot be looked into: %s; "
			    "that needs CAP_SYS_ADMIN and CAP_SYS_PTRACE there",
			    strerror(-blind));
}

/* From every namespace that its processes are in. */
static int find_sockets(const struct plane *plane, const struct adopt_scope *scope,
			struct adoption *adoption, struct problem *problem)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	int blind, r;

	r = served_or_new_sockets(plane, scope->cgroup, &held, &adoption->n, &blind);
	if (r < 0)
		return explain_scan(scope->cgroup, r, problem);
	explain_blind(blind, &adoption->blind);
	adoption->sockets = calloc(adoption->n + 1, sizeof(*adoption->sockets));
	adoption->helpers = calloc(adoption->n + 1, sizeof(*adoption->helpers));
	if (!adoption->sockets || !adoption->helpers)
		return -ENOMEM;
	for (size_t i = 0; i < adoption->n; i++)
		adoption->sockets[i].held = held[i];
	return 0;
}

int adoption_begin(struct plane *plane, const struct adopt_scope *scope,
		   struct adoption **ret_adoption, struct problem *problem)
{
	_cleanup_(adoption_freep) struct adoption *adoption = calloc(1, sizeof(*adoption));
	int r;

	if (!adoption)
		return -ENOMEM;
	adoption->claimed = CLAIM_HOLD_NONE;
	r = find_sockets(plane, scope, adoption, problem);
	if (r < 0)
		return r;
	r = find_paths(plane, scope, adoption);
	if (r < 0)
		return problem_set(problem, r, "cannot look for its AF_UNIX sockets: %s",
				   strerror(-r));
	plane_set_retired(plane, scope->slot, false);
	adopt_guard(plane, scope->cgroup, scope->late);
	adoption->suspect = still_suspect(plane, scope->slot, adoption);
	r = judge_all(plane, scope, adoption, problem);
	claim_release(&adoption->claimed);
	if (r < 0)
		return r;
	/* in the order in which the server opened them: its worker N keeps its place */
	qsort(adoption->sockets, adoption->n, sizeof(*adoption->sockets), by_address);
	adopt_judge_owners(plane, scope->slot, adoption);
	adoption_count(adoption);
	*ret_adoption = steal_ptr(&adoption);
	return 0;
}
