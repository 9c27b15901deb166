/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of a service's public paths (core/path.h) a unit's processes listen at, in the slot's own
 * folder. */
#pragma once

#include "core/path.h"
#include "plane/path/unixdiag.h"
#include "util/problem.h"

struct pathscan {
	const char *service, *cgroup;
	unsigned slot;
	const char (*paths)[HS_PATH_MAX];
	unsigned n_paths;
};

struct found_path {
	char path[HS_PATH_MAX];
	struct unix_listener listener;
};

/*
 * What it listens at. `ret_problem`: what it listens at beside that and cannot be switched, why,
 * and what to do, one sentence without its end; empty = nothing. What the kernel says about a
 * socket's file counts, not its name, which is the instance's choice.
 */
int pathscan_find(const struct pathscan *scan, struct found_path ret_found[HS_PATHS_MAX],
		  unsigned *ret_n, struct problem *ret_problem);
