/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands of the rig: children in a cgroup of their own, which wait for the word to go. */
#pragma once

#include <sys/types.h>

#include "core/address.h"
#include "plane/bpf/pins.h"
#include "rig.h"

struct command {
	struct rig *rig;
	struct pin_path cgroup; /* from the cgroup2 mount on */
	pid_t pid;
	int go, counts;
};

typedef int (*command_fn)(const void *userdata);

/* Its exit status is what `run` returns. */
struct command command_start(struct rig *rig, command_fn run, const void *userdata);
/* The same in the cgroup of a server. */
struct command command_start_beside(struct rig *rig, const struct server *server, command_fn run,
				    const void *userdata);
void command_go(struct command *command);
int command_wait(struct command *command);
/* For one that stops itself on the way, to be looked at. */
void command_until_stopped(struct command *command);
void command_go_on(struct command *command);
/* It has ended: its cgroup goes, unless it is a server's. */
void command_done(struct command *command);

/* A command: how many of 50 were answered by B; 255 when somebody other than A and B answered, or
 * nobody. `userdata` is the address. */
int command_ask_50(const void *userdata);
/* How many of 50 were refused. */
int command_refused_50(const void *userdata);
/* The one answer. */
int command_ask_once(const void *userdata);
/* Opens more connections than a slot may have rules, stops itself, and waits for an answer on
 * each. */
int command_hold_many(const void *userdata);
