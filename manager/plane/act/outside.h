/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Ports= does not name any more is given up, while its server goes on. */
#pragma once

#include "core/config/config.h"
#include "plane/plane.h"

/* Whether the plane has a listener that the settings do not name. */
bool outside_any(const struct plane *plane, const struct config *config);

/*
 * Takes the selector off the groups of such listeners, and the claim off the sockets that processes
 * in one of the cgroups hold there: from then on the kernel alone leads connections to them. The
 * park has been closed; plane_forget_outside() is the end. -errno, when something could not be
 * looked at; all else is done.
 */
int outside_leave(struct plane *plane, const struct config *config, const char *cgroup);
