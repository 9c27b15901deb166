/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must be so before the server of a slot opens its sockets: the work of the hook `prepare`,
 * the same in hsd and in hsctl. */
#pragma once

#include "core/config/config.h"
#include "plane/plane.h"
#include "util/problem.h"

struct prepare_scope {
	const char *cgroup; /* as systemd names it: "/system.slice/app-0.service" */
	unsigned slot;
	bool forced; /* the bind programs belong on it: intake_needs_force() */
	const struct config *config;
	bool started; /* it runs: Self= counts */
};

/* The first part alone, before commands of the unit's own: what the instance asks itself is asked
 * itself from here on. */
void prepare_early(struct plane *plane, const struct prepare_scope *scope);

/*
 * Looks and does what is missing; each step is tried, whatever became of the others. Returns 0,
 * or the -errno of the first step that failed, and `ret_sentence` says in either case what is so
 * now, beginning with the name of the service. The server may start all
 * the same: at worst its sockets cannot be adopted, which is told then.
 */
int prepare_slot(struct plane *plane, const struct prepare_scope *scope,
		 struct problem *ret_sentence);
