/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking whether an instance that accepts nothing stands still, or is full: what
 * core/watch/standstill.h compares, asked from the kernel. */
#pragma once

#include "core/watch/standstill.h"
#include "service/slot/instance.h"

struct standing {
	struct standstill still;
	uint64_t after; /* not to be asked before this time */
};

/* What was seen is of no use any more. */
void standing_forget(struct standing *standing);
/* Looks, unless that was done lately. The first time it only notes what there is. `due`: when this
 * was to be done; 0 = nothing was promised. */
enum standstill_verdict standing_look(struct standing *standing, const struct instance *instance,
				      uint64_t due);
/* The same, if nothing is noted yet, and no more often than that: servers that are close to their
 * limit are looked at again and again. */
void standing_note(struct standing *standing, const struct instance *instance);
/* What people are told of it. Where one of its processes was stopped by a signal that is all that
 * is asked: it is to be left at once, however many connections it has. */
enum standstill_kind standing_kind(struct standing *standing, const struct instance *instance);
/* Stall=; a span of its own where hangs are not looked for: who was left before that was said is
 * seen to nevertheless, or it would be out of service for good. */
uint64_t standing_stall(const struct config *config);
/* What is in work may stand still for Drain=, if that is no more than a minute. */
struct standstill_limits standing_limits(const struct config *config);
/* How often it makes sense to look. */
uint64_t standing_period(const struct instance *instance);
