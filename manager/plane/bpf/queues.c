// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/queues.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "plane/bpf/iterator.h"
#include "plane/bpf/load.h"
#include "queues.skel.h"
#include "util/macro.h"

/* Room for that many at first. */
#define ROOM 256

struct queues {
	struct queues_bpf *skel;
	int taking, learning; /* links: a program, and the storage that it goes over */
	bool learnt;	      /* all our sockets are known to it */
};

DEFINE_CLEANUP(struct queues, queues_free)

struct queues *queues_free(struct queues *queues)
{
	if (!queues)
		return NULL;
	close_fd(queues->taking);
	close_fd(queues->learning);
	queues_bpf__destroy(queues->skel);
	free(queues);
	return NULL;
}

static int load(struct queues *queues, int tags_fd)
{
	queues->skel = queues_bpf__open();
	if (!queues->skel)
		return -errno;
	if (bpf_map__reuse_fd(queues->skel->maps.hs_tags, tags_fd))
		return -errno;
	return load_object(queues->skel->obj, "the look at accept queues", NULL);
}

int queues_open(int tags_fd, struct queues **ret_queues)
{
	_cleanup_(queues_freep) struct queues *queues = calloc(1, sizeof(*queues));
	int r;

	if (!queues)
		return -ENOMEM;
	queues->taking = queues->learning = -1;
	r = load(queues, tags_fd);
	if (!r)
		r = iterator_attach(queues->skel->progs.hs_queues,
				    bpf_map__fd(queues->skel->maps.hs_listening), &queues->taking);
	if (!r)
		r = iterator_attach(queues->skel->progs.hs_learn, tags_fd, &queues->learning);
	if (r < 0)
		return r;
	*ret_queues = steal_ptr(&queues);
	return 0;
}

int queues_learn(struct queues *queues)
{
	return iterator_pass(queues->learning);
}

void queue_list_done(struct queue_list *list)
{
	free(list->items);
	*list = (struct queue_list) {0};
}

static int make_room(struct queue_list *list, size_t used)
{
	size_t room = list->room ? 2 * list->room : ROOM;
	struct hs_queue *more;

	if (used < list->room * sizeof(*more))
		return 0;
	more = realloc(list->items, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	list->items = more;
	list->room = room;
	return 0;
}

static int by_slot(const void *a, const void *b)
{
	const struct hs_queue *left = a, *right = b;

	if (left->service_id != right->service_id)
		return left->service_id < right->service_id ? -1 : 1;
	return left->slot < right->slot ? -1 : left->slot > right->slot;
}

int queues_take(const struct queues *queues, struct queue_list *list)
{
	_cleanup_(close_fdp) int iterator = bpf_iter_create(queues->taking);
	size_t used = 0;
	ssize_t n;
	int r;

	list->n = 0;
	if (iterator < 0)
		return -errno;
	do {
		r = make_room(list, used);
		if (r < 0)
			return r;
		n = iterator_read(iterator, (char *)list->items + used,
				  list->room * sizeof(*list->items) - used);
		if (n < 0)
			return (int)n;
		used += n;
	} while (n);
	list->n = used / sizeof(*list->items);
	qsort(list->items, list->n, sizeof(*list->items), by_slot);
	return 0;
}

void queues_forget(struct queues *queues)
{
	queues->learnt = false;
}

int queues_look(struct queues *queues, struct queue_list *list)
{
	int r = queues->learnt ? 0 : queues_learn(queues);

	queues->learnt = !r;
	return r < 0 ? r : queues_take(queues, list);
}

size_t queues_of_slot(const struct hs_queue *items, size_t n, uint32_t service_id, unsigned slot,
		      const struct hs_queue **ret_first)
{
	const struct hs_queue key = {.service_id = service_id, .slot = slot};
	size_t low = 0, high = n, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_slot(&items[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < n && !by_slot(&items[end], &key); end++)
		;
	*ret_first = items + low;
	return end - low;
}
