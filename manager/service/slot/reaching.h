/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An instance's way to itself (plane/bpf/own.h): its sockets are reached by it before it has
 * reported ready, and Self= counts from then on. */
#pragma once

#include "service/slot/instance.h"

/* True when the cgroup with this id is the instance's, and it is about to start: it has begun to
 * listen there, and is seen to. With 0 as the id: whether it is about to start. */
bool reaching_heard(struct instance *instance, uint64_t cgroup_id);
/* The unit or the settings have changed. */
void reaching_follow(struct instance *instance);
void reaching_done(struct instance *instance);
