/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The canary of a service in the kernel: a share and a slot in its word, and who it is for. */
#pragma once

#include "core/canary.h"
#include "plane/plane.h"

/* Whom the canary that is there now is for; when there is none, anybody. -errno of the map. */
int plane_canary_filter(const struct plane *plane, struct canary_filter *ret_filter);

/*
 * A share in 1/65536 of the flows that `filter` lets through goes to the slot; share 0 or slot
 * HS_SLOT_NONE: no canary. Where the filter changes there is no canary for a moment, so that nobody
 * is in one who was in neither. `filter` may be NULL: it is for anybody. -EAGAIN: the slot is the
 * active one by now, and is no canary; -EBUSY: another does this now; other errors leave no canary.
 */
int plane_set_canary(struct plane *plane, unsigned slot, uint32_t share,
		     const struct canary_filter *filter);
