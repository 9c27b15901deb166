/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A transient scope of systemd for a process that runs already: it, and all that it starts from
 * then on, has a cgroup of its own, until the last of them has ended.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "util/problem.h"

/* Units of this name that run a command in a scope take it, and all that it has started, along when
 * they end. */
#define SCOPE_SMOKE_PREFIX "hotstandby-smoke-"

struct scope;

/* `cgroup` as systemd names it; NULL when there is none, and `problem` has a sentence. Called once;
 * the scope object is freed after the call. */
typedef void (*scope_fn)(const char *cgroup, const struct problem *problem, void *userdata);

struct scope_order {
	pid_t pid;
	int pidfd;		  /* of it, else -1; needed while it is ordered */
	const char *unit, *slice; /* where it is now, as systemd has it; the slice may be "" */
	const char *description;
};

/* Moves the process there. It stays in the slice that it is in, with the limits of its user. With a
 * pidfd no other is moved that has its number later, but by a systemd that does not take one, and
 * then only if it ends while that looks for the number. */
int scope_new(sd_bus *bus, const struct scope_order *order, scope_fn on_end, void *userdata,
	      struct scope **ret_scope);
/* Forgets it without a callback; systemd goes on with it. */
struct scope *scope_free(struct scope *scope);

/* The same for the caller, who waits for it. */
int scope_enter(sd_bus *bus, const char *description, char cgroup[PATH_MAX],
		struct problem *problem);

struct scope_watch;

/* One of these has ended, whoever ordered it. */
typedef void (*scope_ended_fn)(void *userdata);
int scope_watch_new(sd_bus *bus, scope_ended_fn on_ended, void *userdata,
		    struct scope_watch **ret_watch);
struct scope_watch *scope_watch_free(struct scope_watch *watch);
