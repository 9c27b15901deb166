/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether an instance that hung, was taken out of service and kept has come back. Nothing waits for
 * it any more, so that it cannot be seen to accept. But who serves sleeps on its listening sockets:
 * it is woken there (plane/nudge.h), and goes to sleep again. One that is stopped, or is stuck
 * elsewhere, does not.
 */
#pragma once

#include "hsd/instance.h"

struct recovery;

typedef void (*recovery_fn)(void *userdata);

/* Looks from time to time. `on_recovered` is called once; the object may be freed in it. */
int recovery_new(struct instance *instance, recovery_fn on_recovered, void *userdata,
		 struct recovery **ret_recovery);
struct recovery *recovery_free(struct recovery *recovery);
