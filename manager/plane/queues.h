/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What waits for accept(2) on the sockets of all services, in whatever network namespace: asked
 * from the kernel in one pass over those sockets. Microseconds, no lock, nothing borrowed; on a
 * kernel that describes its structures (BTF).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "hs_abi.h"

struct queues;

/* Over the sockets that are tagged in this map, which need not stay open. -errno of loading it. */
int queues_open(int tags_fd, struct queues **ret_queues);
struct queues *queues_free(struct queues *queues);

/*
 * Finds the listening sockets that have got a tag since it was called last; others are not seen.
 * Looks at each connection of all services.
 */
int queues_learn(struct queues *queues);

/* Those on which somebody waits, by service and slot, ascending. Valid until the next call. */
int queues_take(struct queues *queues, const struct hs_queue **ret_items, size_t *ret_n);

/* Those of one slot among them. */
size_t queues_of_slot(const struct hs_queue *items, size_t n, uint32_t service_id, unsigned slot,
		      const struct hs_queue **ret_first);
