/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an earlier run of a slot has left in its cgroup: a child that inherited the listener, with
 * KillMode=process say. It accepts nothing, or for nobody. */
#pragma once

#include "plane/plane.h"

/*
 * Before the server of a new run is started: takes the sockets that processes in the cgroup hold on
 * addresses of the service out of the maps, moves what waits there to another slot or the park, and
 * marks them, so that they are not adopted, unless the main process of the new run turns out to
 * have them as well. The processes notice nothing. Returns how many, or -errno.
 */
int shed_sockets(struct plane *plane, unsigned slot, const char *cgroup);
