/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the connections of a service are doing, as JSON. hsd answers with it on the bus, hsctl
 * without hsd makes the very same; the names in the JSON are a contract. */
#pragma once

#include <json-c/json.h>

#include "plane/plane.h"
#include "util/macro.h"

/* Who has had no data for so long holds on, but does nothing. */
#define CONNECTIONS_IDLE_USEC (60 * USEC_PER_SEC)

/* How many are listed at most: an answer is one message of the bus, which has a limit of its own.
 */
#define CONNECTIONS_LIST_MAX 10000

struct connections_query {
	uint64_t idle_usec; /* from when on a connection is idle */
	bool list;	    /* each of them, too */
	bool withheld;	    /* but not to this one: whoever asks may see counts alone */
};

/*
 * {"service","idle_after_ms","slots":[{"slot","role",COUNTS}],"park":{COUNTS},"problem",
 * "connections":[{"slot","peer","local","state","accepted","age_ms","idle_ms","received_ms",
 * "sent_ms"}]}; COUNTS: "connections","queued","half_open","opened","closed","opened_per_s",
 * "oldest_ms","idle","longest_idle_ms","flows","flows_longest_idle_ms". What is not known, or of
 * nobody, is null; "park" is null where there is none and nobody waits; the last array is there if
 * it was asked for, and with it "truncated", true if there are more than CONNECTIONS_LIST_MAX;
 * instead of both there is "withheld": true if whoever asked may not see it. NULL with errno when
 * the kernel does not list them.
 */
json_object *connections_report(const struct plane *plane, unsigned n_slots,
				const struct connections_query *query);
