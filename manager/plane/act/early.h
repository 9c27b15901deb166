/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An instance that is still starting can be reached by itself (plane/bpf/own.h), and by nobody
 * else. */
#pragma once

#include "plane/plane.h"

/*
 * Sets those sockets aside that processes in the cgroup hold on addresses of the service: they are
 * in the maps, and rules of the own way alone find them. The address is claimed. What is there
 * already, and what cannot be there, is passed over: adoption tells of it. Where the service has no
 * listener yet nobody stands between an instance and itself. Returns how many, or -errno.
 */
int early_reach(struct plane *plane, unsigned slot, const char *cgroup);
