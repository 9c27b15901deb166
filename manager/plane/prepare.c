// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/prepare.h"

#include "plane/force.h"
#include "util/macro.h"

/* systemd has attached them where it can (BPFProgram=) and found their pins. */
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
	force_set_ports(force, scope->config->ports, scope->config->n_ports);
	r = force_attach(force, scope->cgroup, problem);
	if (r > 0)
		problem_set(problem, 0, "the bind programs were attached");
	return r;
}

int prepare_slot(struct plane *plane, const struct prepare_scope *scope,
		 struct problem *ret_sentence)
{
	struct problem what = {0};
	int r = force_intake(plane, scope, &what);

	if (r < 0)
		problem_set(ret_sentence, 0, "%s: slot %u is not prepared: %.400s.",
			    plane_service(plane), scope->slot, what.text);
	else
		problem_set(ret_sentence, 0, "%s: slot %u is prepared%s%.400s.",
			    plane_service(plane), scope->slot, r ? ": " : "", what.text);
	return r;
}
