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

/* What one look has shown; all zero at first. */
struct queue_list {
	struct hs_queue *items; /* by service and slot, ascending */
	size_t n, room;
};
void queue_list_done(struct queue_list *list);

/* Those on which somebody waits, in the place of what the list has had. */
int queues_take(const struct queues *queues, struct queue_list *list);

/* There may be sockets that it was not told of: the next look begins with queues_learn(). */
void queues_forget(struct queues *queues);
/* queues_learn() when that is necessary, and queues_take(). */
int queues_look(struct queues *queues, struct queue_list *list);

/* Those of one slot among them. */
size_t queues_of_slot(const struct hs_queue *items, size_t n, uint32_t service_id, unsigned slot,
		      const struct hs_queue **ret_first);
