/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is pinned goes from one version (HS_ABI_VERSION) to the next, and one version back, while
 * connections come and go.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/problem.h"

/* Whether what is pinned in this version can be looked at: ours, and one that we take over. */
bool handover_is_readable(uint32_t abi);

/* Of the service whose folder has this name, also of one that is still to be taken over; 0 when it
 * cannot be told. */
uint32_t handover_service_id(const char *pin);

/* Of the service whose pins are below `folder`; 0 when there are none, or half of them. */
uint32_t handover_version(const char *folder);

/* Whether there is anything of the version before that belongs to all services. */
bool handover_is_due(void);

/*
 * Takes over what belongs to all services; 0 also when there is nothing of the version before. With
 * the lock of all pins held. -ETXTBSY: a process of the version before works with it; so does
 * nothing happen yet, and the sentence says what to do.
 */
int handover_take_accounting(struct problem *problem);

/* Takes over the pins of a service below `folder`, with that of all services; likewise. -EPROTO:
 * they cannot be taken over. */
int handover_take_service(const char *folder, struct problem *problem);

/*
 * Writes everything back as the version before has it. -EINVAL: that is not `abi`; -ETXTBSY: a
 * process works with it, with `wait` for a second from now, and nothing has been done; -EPROTO: a
 * service makes use of what the version before knows nothing of, and nothing has been done. With
 * every error `problem` is set.
 */
int handover_give_back(unsigned abi, bool wait, struct problem *problem);
