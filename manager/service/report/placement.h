/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which clients are on which slots, as JSON, whose names are a contract: the table of a service
 * with policy hash, and where a single client is under any policy. The caller owns what is
 * returned. */
#pragma once

#include <json-c/json.h>

#include "core/spread/rebalance.h"
#include "plane/parts/table.h"
#include "plane/plane.h"

/* The table: who takes part, with which weight and share, and who is pinned. NULL: there is none.
 * With `message`, or NULL. */
json_object *placement_json(const struct plane *plane, const char *message);

/* To what `status` says of a service that is spread: "by", "fingerprint", "shared_key", "pinned"
 * (addresses of clients: null if they are withheld) and "moved_buckets"; and of each slot (`slots`,
 * an array) "in_service", "weight", "share" and, if anything was counted, "share_got". */
void placement_add(const struct plane *plane, json_object *service, json_object *slots,
		   bool withheld);

/* Whether that is a client: "192.0.2.7", "2001:db8::7"; where the port counts, it is said, too:
 * "192.0.2.7:4711", "[2001:db8::7]:4711". -EINVAL and a sentence: it is none. */
int placement_check_client(const char *text, struct problem *ret_problem);
/* Where new connections of a client go. -EINVAL and a sentence: that cannot be said. */
int placement_where(const struct plane *plane, const char *client, json_object **ret_answer,
		    struct problem *ret_refusal);

json_object *placement_rebalance(const struct plane *plane, const struct rebalance *plan,
				 bool dry_run, const char *message);
