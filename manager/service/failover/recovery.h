/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether an instance that hung, was taken out of service and kept has come back. Nothing waits for
 * it any more, so that it cannot be seen to accept. But who serves sleeps on its listening sockets:
 * it is woken there (plane/act/nudge.h), and goes to sleep again. One that is stopped, or is stuck
 * elsewhere, does not. One that wakes may still be at its limit: it is to accept a connection of
 * ours, too (service/failover/tasting.h).
 */
#pragma once

#include "service/slot/instance.h"

struct recovery;

typedef void (*recovery_fn)(void *userdata);

/* Looks from time to time; once it wakes, it has as long as it takes to accept. `on_recovered` is
 * called once; the object may be freed in it. */
int recovery_new(struct instance *instance, recovery_fn on_recovered, void *userdata,
		 struct recovery **ret_recovery);
struct recovery *recovery_free(struct recovery *recovery);
