/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The smoke test of an upgrade: a command of the operator's, whose connections to the service land
 * on one slot. It runs outside of our own sandbox, as a unit of its own, which ends with hsd; what
 * it says is in the journal, as that of "hotstandby-smoke-SERVICE".
 */
#pragma once

#include "hsd/service.h"

struct smoke;

/* `failure`: a sentence; NULL = its exit status was 0. Called once; the object is freed then. */
typedef void (*smoke_fn)(const char *failure, void *userdata);

/* For /bin/sh. The caller sees to the time that it takes; systemd ends it some time after
 * `timeout_usec`. */
int smoke_start(struct service *service, unsigned slot, const char *command, uint64_t timeout_usec,
		smoke_fn on_end, void *userdata, struct smoke **ret_smoke);
/* Ends it, with all that it has started, without a callback. */
struct smoke *smoke_free(struct smoke *smoke);
