/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps what is at a service's public paths while the server ends that was at these paths before:
 * many remove what has the name of their socket then, whatever it is. Nothing can be removed from
 * the folders of the paths meanwhile, not by root either; whoever tries is told that it is not
 * permitted. That ends with whoever has asked for it, also when that one is killed; if the process
 * that holds them is killed itself, it ends with the next one that has to do with these paths.
 */
#pragma once

#include <sys/types.h>

#include "core/config/config.h"
#include "util/problem.h"

struct pathhold {
	pid_t pid; /* 0 = nothing is held */
	int fd;
	const struct config *config;
};

#define PATHHOLD_NONE ((struct pathhold) {.fd = -1})

/* `config` is needed until the end. 0 also where the file system of a folder cannot do so (before
 * Linux 6.0 tmpfs cannot): then that one is not held. `back`: right before, what was kept gets its
 * path again, see pathsetup_back(). */
int pathhold_begin(const struct config *config, bool back, struct pathhold *ret_hold,
		   struct problem *problem);
/* When this returns it is as before. */
void pathhold_end(struct pathhold *hold);
