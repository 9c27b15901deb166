/* SPDX-License-Identifier: GPL-2.0-or-later */
/* That this host leaves, as far as one service is concerned: noted in the map "room", so it holds
 * whether hsd runs or not, until it joins again or the machine starts anew. Traffic that comes all
 * the same is served. */
#pragma once

#include <stdbool.h>

#include "core/presence.h"

struct plane;

bool plane_has_left(const struct plane *plane);
/* -ENOENT: what is pinned is of a release that has no place for it. */
int plane_set_left(struct plane *plane, bool left);

/* What this host says of itself, by what is pinned alone. */
struct presence plane_presence(const struct plane *plane, unsigned slots);
