/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What needs a lock that another process holds (plane/bpf/pins.h): the loop does not stand still
 * for it, and it is tried again after a moment, later each time.
 */
#pragma once

#include "service/service.h"

/* For so long somebody who asks waits: whoever changes pins holds their lock for milliseconds. */
#define LATER_PATIENCE (1 * USEC_PER_SEC)

enum later_try {
	LATER_TRY,  /* -EBUSY: again later */
	LATER_LAST, /* there will be no other, whatever comes of it */
	LATER_DROP  /* the service goes: nothing is to be done, but what is held is freed */
};

/* Any result but -EBUSY is the end. */
typedef int (*later_fn)(void *userdata, enum later_try try);

/*
 * Tries at once, and again until it has come to an end; after `patience_usec` for the last time
 * (USEC_INFINITY: as long as it takes, and people are told after a while). Nothing happens where
 * the same with the same userdata waits already. A host that only passes through waits in
 * pins_lock() instead, and there the first try is the last.
 */
void later_do(struct service *service, uint64_t patience_usec, later_fn fn, void *userdata);
/* Drops all that wait. */
void later_drop_all(struct service *service);
