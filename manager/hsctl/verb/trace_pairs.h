/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pairs of the fast path of a service as they come to be: no selector tells of them, so they are
 * looked for. */
#pragma once

#include <stdint.h>

#include "hs_abi.h"
#include "hs_fast.h"

/* How often. One that has ended before is not seen. */
#define TRACE_PAIRS_EVERY (100 * USEC_PER_MSEC)

struct trace_pairs;

/* Of this service; with `from`, whose memory stays the caller's, of these clients. NULL: there is
 * no fast path. */
struct trace_pairs *trace_pairs_new(uint32_t service_id, const struct hs_prefix *from);
struct trace_pairs *trace_pairs_free(struct trace_pairs *pairs);

/* Calls `each` for those that have come since, until it returns non-zero, which is returned. */
int trace_pairs_look(struct trace_pairs *pairs,
		     int (*each)(const struct hs_fast_pair *pair, void *userdata), void *userdata);
