/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a service's public paths (core/path.h) when it is taken out of hotstandby: they
 * lead to an instance that still serves there until none does, then nothing of ours is left. For
 * each instance that runs two transient units see to that: one ends right before it does and leads
 * the paths to another, one ends right after it and clears up if it was the last one.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "core/setup/pathfind.h"

/* Before its drop-ins go, and if an instance runs: the folders of the paths are not removed as one
 * stops (RuntimeDirectory=), which the others are reached through. */
int pathleave_prepare(const char *service, struct problem *problem);
/* `running`: bit N: the unit of slot N runs. With none it is cleared up at once. */
int pathleave_begin(sd_bus *bus, const char *service, const struct pathlist *paths,
		    unsigned running, struct problem *problem);

/* No slot serves any more: those units have nothing to do, neither for this slot nor for others,
 * and systemd forgets what was prepared. */
void pathleave_end(sd_bus *bus, const char *service);

/* What the units run for the slot that ends, or has ended; any other process that does so is in the
 * machine's mount namespace from then on. Returns 1 while some slot serves, else 0. */
int pathleave_slot(const char *service, unsigned slot, const struct pathlist *paths,
		   struct problem *problem);
