/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The smoke test of an upgrade: a command of the operator's, whose connections to the service land
 * on one slot. It runs outside of our own sandbox, as a unit of its own, which ends with hsd; what
 * it says is in the journal, as that of "hotstandby-smoke-SERVICE".
 *
 * One that has made no connection to its slot has tested nothing, and fails, unless it may be
 * silent.
 */
#pragma once

#include "service/service.h"
#include "system/unit/units.h"

struct smoke;

/* `failure`: a sentence; NULL = its exit status was 0. Called once; the object is freed then. */
typedef void (*smoke_fn)(const char *failure, void *userdata);

struct smoke_order {
	unsigned slot;
	const char *command; /* for /bin/sh */
	/* the caller sees to the time that it takes; systemd ends it some time after this */
	uint64_t timeout_usec;
	bool may_be_silent;
};

int smoke_start(struct service *service, const struct smoke_order *order, smoke_fn on_end,
		void *userdata, struct smoke **ret_smoke);
/* Ends it, with all that it has started, without a callback. */
struct smoke *smoke_free(struct smoke *smoke);

/* Connections of what `unit` (of the caller of Exec) has begun in `cgroup` are counted here: if it
 * is the service's smoke test, or one of its commands that does the same again, they are its own.
 * The descriptor stays the caller's. */
void smoke_note(struct service *service, unsigned slot, const char *unit, const char *cgroup,
		int counts_fd);
