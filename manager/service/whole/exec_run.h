/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hsctl exec in the daemon: who asks is moved into a scope of its own, whose connections then land
 * on a slot. The command is run by hsctl, not here.
 *
 * Nothing is kept of it once it runs: the programs live as long as the scope's cgroup, and when a
 * scope has ended, what belongs to nobody any more is swept away. So a hsd that is killed in the
 * middle leaves nothing to the next that this would not see.
 */
#pragma once

#include "service/request.h"
#include "service/service.h"

struct exec_run;

/* The request is answered when the caller is in the scope: {"service","slot","cgroup"} and the
 * descriptor of the counts; or with why not. That may be root, and whoever was in the group
 * "hotstandby" of /etc/group when they connected to the bus, out of a session of their own. */
void exec_run_start(struct service *service, unsigned slot, struct request *request);
/* Forgets those that are under way; whoever waits for one hears of it from the bus. */
void exec_run_forget_all(struct service *service);

/* A command's scope has ended: what it has left is taken away. */
void exec_run_sweep(struct service *service);
