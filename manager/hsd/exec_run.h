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

#include <systemd/sd-bus.h>

#include "hsd/manager.h"

struct exec_run;

/* Who asks, as the bus has it. */
struct exec_caller {
	pid_t pid;
	uid_t uid;
};

/* -EPERM, and why not, unless it is root or a member of the group "hotstandby". That group need not
 * exist. */
int exec_caller_of(sd_bus_message *m, struct exec_caller *ret_caller, struct problem *problem);

/* The message is answered when the caller is in the scope: {"service","slot","cgroup"} and the
 * descriptor of the counts. */
int exec_run_start(struct service *service, unsigned slot, const struct exec_caller *caller,
		   sd_bus_message *message);
/* Forgets those that are under way; whoever waits for one hears of it from the bus. */
void exec_run_forget_all(struct service *service);

/* From now on, when a command's scope has ended, what it has left is taken away. `ret_match` is the
 * caller's. */
int exec_run_watch(struct manager *manager, sd_bus_slot **ret_match);
