/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The work behind `hsctl enable`: files and systemd, nothing else. It does not need hsd. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "hsctl/setup/enable_plan.h"
#include "util/macro.h"

/* What is wanted besides. */
struct enable_wish {
	const char *paths; /* of --path=, with ',' between; NULL = those that it finds */
	const char *alias; /* the unit that is to stand for all slots; NULL = as it is */
	const char *from;  /* the unit that they are to take over from, which stays the caller's */
};

/* Looks at the template (`text`: "app@.service", "app@" or "app"), its socket units and the
 * configuration. `wish` may be NULL. 0 also if plan->report refuses: look there. With every error
 * `problem` says what failed. */
int enable_plan_new(sd_bus *bus, const char *text, const struct enable_wish *wish,
		    struct enable_plan **ret_plan, struct problem *problem);
struct enable_plan *enable_plan_free(struct enable_plan *plan);
DEFINE_CLEANUP(struct enable_plan, enable_plan_free)

/* True if there is nothing to do: already enabled. False with no pending changes: only systemd has
 * to read its files anew. */
bool enable_is_done(const struct enable_plan *plan);

/* Writes the files and has systemd read them: both or neither. Then plan->changes.items[].done says
 * which were written (`path`). Not for a plan that is refused (-EINVAL). */
int enable_apply(sd_bus *bus, struct enable_plan *plan, struct problem *problem);
/* True if the template had no drop-in of hotstandby's when it was looked at. */
bool enable_is_first(const struct enable_plan *plan);
