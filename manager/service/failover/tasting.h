/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether an instance accepts, and does not only wake: one that is at the limit of its descriptors,
 * say, wakes for each connection and can take none. A connection of our own to each of its
 * addresses waits in the queue as any other would, says nothing, and ends when all are accepted.
 * The instance need not be in service.
 */
#pragma once

#include "service/service.h"

struct tasting;

typedef void (*tasting_fn)(void *userdata);

/*
 * `on_accepted` is called once; the object may be freed in it. Also where such a connection cannot
 * be made: then nothing speaks against it.
 */
int tasting_new(struct service *service, unsigned slot, tasting_fn on_accepted, void *userdata,
		struct tasting **ret_tasting);
struct tasting *tasting_free(struct tasting *tasting);
