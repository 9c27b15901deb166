/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking whether an instance that accepts nothing stands still, or is full: what
 * core/standstill.h compares, asked from the kernel. */
#pragma once

#include "core/standstill.h"
#include "hsd/instance.h"

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
/* How often it makes sense to look. */
uint64_t standing_period(const struct instance *instance);
