/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hsctl exec for AF_UNIX sockets: a mount namespace in which the paths of a service lead to one
 * slot. */
#pragma once

#include <time.h>

#include "core/config/config.h"
#include "util/problem.h"

/* From now on this process and what it starts reach that slot at the service's paths, whichever is
 * active. -EPERM: not root. 0 without doing anything for a service without paths. */
int pathexec_enter(const char *service, unsigned slot, const struct config *config,
		   struct problem *problem);

/* When the slot's sockets were connected to last, as their files tell. */
struct pathexec_mark {
	unsigned n; /* 0 = it is not known */
	struct timespec connected[HS_PATHS_MAX];
};

/* After pathexec_enter(). */
void pathexec_note(const char *service, unsigned slot, const struct config *config,
		   struct pathexec_mark *ret_mark);
/* Nobody has connected to the slot at its paths since. False also where it is not known, and when
 * it was a client or a probe. */
bool pathexec_was_silent(const char *service, unsigned slot, const struct config *config,
			 const struct pathexec_mark *mark);
