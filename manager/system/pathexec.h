/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hsctl exec for AF_UNIX sockets: a mount namespace in which the paths of a service lead to one
 * slot. */
#pragma once

#include "core/config.h"
#include "util/problem.h"

/* From now on this process and what it starts reach that slot at the service's paths, whichever is
 * active. -EPERM: not root. 0 without doing anything for a service without paths. */
int pathexec_enter(const char *service, unsigned slot, const struct config *config,
		   struct problem *problem);
