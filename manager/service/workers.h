/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work that may never come back (system/work/work.h), in the event loop: an order is given, and an
 * answer comes.
 *
 * Orders about one slot are carried out one after the other. One that does not get on, because the
 * instance holds the lock of a socket, is given up: who waits is told so by name, and until its
 * process comes to its end, whenever that is, the same slot gets no other order that could end like
 * it, and once a few of its processes have not ended, no other at all. Nobody else notices.
 */
#pragma once

#include <systemd/sd-event.h>

#include "service/host.h"

struct workers;

/* The instance has let go of what an order was given up for. */
typedef void (*work_released_fn)(const char *service, unsigned slot, void *userdata);

/* Takes the host over, also when it fails. */
int workers_new(sd_event *event, int host_fd, work_released_fn on_released, void *userdata,
		struct workers **ret_workers);
/* Nobody is answered any more; what was begun goes on by itself. Takes NULL. */
struct workers *workers_free(struct workers *workers);

/* See host_order(). */
int workers_order(struct workers *workers, const struct work_order *order, const int *fds,
		  size_t n_fds, const struct work *work, struct work **ret_work);
/* See host_busy(). */
unsigned workers_busy(const struct workers *workers);
