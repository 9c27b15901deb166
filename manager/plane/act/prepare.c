// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/prepare.h"

#include <string.h>

#include "plane/act/adopt_judge.h"
#include "plane/act/force.h"
#include "plane/bpf/mptcp.h"
#include "plane/bpf/own.h"
#include "util/macro.h"

/* A cgroup is new at every start, unless something of the last run is left in it. */
static int force_intake(const struct plane *plane, const struct prepare_scope *scope,
			struct problem *problem)
{
	_cleanup_(force_freep) struct force *force = NULL;
	int r;

	if (!scope->forced)
		return 0;
	r = force_create(plane_service(plane), &force, problem);
	if (r < 0)
		return r;
	force_set_service(force, plane_id(plane));
	force_set_ports(force, scope->config->ports, scope->config->n_ports);
	r = force_attach(force, scope->cgroup, problem);
	return r < 0 ? r : 0;
}

/* Also where something of an earlier run, with other settings, has kept the cgroup. */
static int keep_to_tcp(const struct prepare_scope *scope, struct problem *problem)
{
	int r;

	if (scope->config->mptcp == MPTCP_NO)
		return mptcp_refuse(scope->cgroup, problem);
	r = mptcp_allow(scope->cgroup);
	return r ? problem_set(problem, r, "MPTCP cannot be allowed again in cgroup %s: %s",
			       scope->cgroup, strerror(-r))
		 : 0;
}

/* Until it has started what it asks itself is meant for itself, and the park answers to everybody
 * else. */
void prepare_early(struct plane *plane, const struct prepare_scope *scope)
{
	struct own_place place = {
		.service_id = plane_id(plane),
		.slot = scope->slot,
		.on = !scope->started || scope->config->self == SELF_OWN,
	};
	struct own *own = plane_own(plane);

	/* where the kernel does not take it doctor tells: no reason not to start */
	if (own)
		(void)own_cgroup(own, scope->cgroup, &place);
}

int prepare_slot(struct plane *plane, const struct prepare_scope *scope,
		 struct problem *ret_sentence)
{
	struct problem what = {0};
	int r = force_intake(plane, scope, &what);
	int tcp = keep_to_tcp(scope, r ? NULL : &what);

	/* without it a listener that comes late is not noticed: no reason to say that nothing is
	 * prepared */
	if (plane_accounting(plane))
		accounting_watch_cgroup(plane_accounting(plane), scope->cgroup);
	/* before the server runs: so that there is no moment without */
	adopt_guard(plane, scope->cgroup, scope->forced);
	prepare_early(plane, scope);

	r = r ?: tcp;
	if (r < 0)
		problem_set(ret_sentence, 0, "%s: slot %u is not prepared: %.400s.",
			    plane_service(plane), scope->slot, what.text);
	else
		problem_set(ret_sentence, 0, "%s: slot %u is prepared%s.", plane_service(plane),
			    scope->slot, scope->forced ? ": what it binds gets SO_REUSEPORT" : "");
	return r;
}
