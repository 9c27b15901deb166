/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A decision of a selector, as `hsctl trace` shows it: for programs, and made from that for people.
 */
#pragma once

#include <json-c/json.h>
#include <stdint.h>

#include "core/address.h"
#include "hs_abi.h"
#include "hs_fast.h"
#include "hsctl/show/render.h"

/* "active", "table", ...; "unknown" for one of a later version. */
const char *decision_why(uint32_t why);

/* `listener` NULL: not known any more. `usec`: when it fell, CLOCK_REALTIME. The caller owns it. */
json_object *decision_to_json(const struct hs_trace_record *record, const struct address *listener,
			      uint64_t usec);

/* A line, without `time` ("" or what to begin it with). */
void decision_print(const struct render *render, const char *time, json_object *decision);
/* What stands above them. */
void decision_print_head(const struct render *render);

/* One end of a pair of the fast path, among the decisions: "why" is "client-end" or "server-end".
 * `side`: enum hs_fast_side. */
json_object *decision_pair_to_json(const struct hs_fast_pair *pair, unsigned side, uint64_t usec);
void decision_pair_print(const struct render *render, const char *time, json_object *end);
