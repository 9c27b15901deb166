// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/watch/look.h"

#include "plane/bpf/accounting.h"
#include "plane/kernel/diag.h"
#include "util/macro.h"

/* Queues may be in that many namespaces at the same time. */
#define NAMESPACES_MAX 64

/* The queues of one namespace. */
struct listed {
	uint32_t netns;
	struct queue_length *items;
	size_t n;
};

struct look {
	struct accounting *accounting; /* of the last look, if any */
	bool own;		       /* the kernel tells of our own: */
	struct queue_list queues;
	struct address *wanted; /* what else is there is not listed */
	size_t n_wanted, room;
	struct listed listed[NAMESPACES_MAX];
	size_t n_listed;
};

struct look *look_new(void)
{
	return calloc(1, sizeof(struct look));
}

struct look *look_free(struct look *look)
{
	if (!look)
		return NULL;
	look_forget_listed(look);
	queue_list_done(&look->queues);
	free(look->wanted);
	free(look);
	return NULL;
}

/* ---- our own ---- */

void look_forget_sockets(struct look *look)
{
	struct queues *kernel = look->accounting ? accounting_queues(look->accounting) : NULL;

	if (kernel)
		queues_forget(kernel);
}

void look_begin(struct look *look, struct accounting *accounting)
{
	struct queues *kernel;

	look_forget_listed(look);
	look->n_wanted = 0;
	look->own = false;
	look->accounting = accounting;
	if (!accounting)
		return;
	/* when somebody hangs there is no time to load programs */
	accounting_motion(accounting);
	kernel = accounting_queues(accounting);
	look->own = kernel && !queues_look(kernel, &look->queues);
}

void look_want(struct look *look, const struct plane *plane)
{
	size_t room = look->n_wanted + PLANE_LISTENERS_MAX;
	struct address *more = look->wanted;

	if (look->own)
		return;
	if (room > look->room) {
		more = realloc(look->wanted, 2 * room * sizeof(*more));
		if (!more)
			return;
		look->wanted = more;
		look->room = 2 * room;
	}
	look->n_wanted += plane_addresses(plane, look->wanted + look->n_wanted);
}

void look_end(struct look *look)
{
	look_forget_listed(look);
}

bool look_is_own(const struct look *look)
{
	return look->own;
}

size_t look_own(const struct look *look, uint32_t service_id, unsigned slot,
		const struct hs_queue **ret_first)
{
	return queues_of_slot(look->queues.items, look->queues.n, service_id, slot, ret_first);
}

/* ---- listed ---- */

void look_forget_listed(struct look *look)
{
	for (size_t i = 0; i < look->n_listed; i++)
		free(look->listed[i].items);
	look->n_listed = 0;
}

/* NULL when the kernel cannot be asked. */
static const struct listed *listed_in(struct look *look, const struct netns *netns)
{
	struct diag_wanted wanted = {.addresses = look->wanted, .n_addresses = look->n_wanted};
	struct listed *listed = &look->listed[look->n_listed];

	for (size_t i = 0; i < look->n_listed; i++)
		if (look->listed[i].netns == netns->inode)
			return &look->listed[i];
	if (look->n_listed == NAMESPACES_MAX ||
	    diag_queues(netns, &wanted, &listed->items, &listed->n) < 0)
		return NULL;
	listed->netns = netns->inode;
	look->n_listed++;
	return listed;
}

uint32_t look_listed(struct look *look, const struct netns *netns, uint64_t cookie)
{
	const struct listed *listed = listed_in(look, netns);

	return listed ? diag_queue_of(listed->items, listed->n, cookie) : 0;
}
