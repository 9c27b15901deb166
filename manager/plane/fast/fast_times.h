/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When something was last sent on the connections of a service that are pairs of the fast path:
 * TCP's own times of them stand still.
 */
#pragma once

#include <stdint.h>

#include "hs_fast.h"
#include "plane/kernel/diag.h"

struct fast_times;

/* The pairs that live now. NULL: there is none. -ENOMEM. */
int fast_times_take(uint32_t service_id, struct fast_times **ret_times);
/* Takes NULL, returns it. */
struct fast_times *fast_times_free(struct fast_times *times);

/* A connection as TCP tells of it: its pair, which is that of the times, and its own times are set.
 * Of one that is none nothing changes; so with NULL. */
void fast_times_correct(const struct fast_times *times, struct connection *connection);
