// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/snapshot.h"

#include "plane/bpf/queues.h"
#include "util/macro.h"

/* Who has more namespaces than that asks for some of them again. */
#define NAMESPACES_MAX 64

static struct {
	unsigned users;
	struct {
		uint32_t netns;
		struct listening_socket *sockets;
		size_t n;
		int error;
	} asked[NAMESPACES_MAX];
	size_t n;
	bool has_queues;
	struct queue_list queues;
} snapshot;

static void forget(void)
{
	while (snapshot.n > 0)
		free(snapshot.asked[--snapshot.n].sockets);
	queue_list_done(&snapshot.queues);
	snapshot.has_queues = false;
}

void snapshot_begin(void)
{
	if (!snapshot.users++)
		forget();
}

void snapshot_end(void)
{
	if (!--snapshot.users)
		forget();
}

bool snapshot_is_shared(void)
{
	return snapshot.users > 1;
}

static int by_port(const void *a, const void *b)
{
	const struct listening_socket *left = a, *right = b;

	return (int)left->address.port - (int)right->address.port;
}

/* Returns where it stands, or -errno; that there are too many is not found out again. */
static int ask(const struct netns *netns)
{
	uint32_t inode = netns ? netns->inode : 0;
	struct listening_socket *sockets;
	size_t n;
	int r;

	for (size_t i = 0; i < snapshot.n; i++)
		if (snapshot.asked[i].netns == inode)
			return snapshot.asked[i].error ?: (int)i;
	if (snapshot.n == NAMESPACES_MAX)
		forget();
	r = diag_listening(netns, false, &sockets, &n);
	if (r < 0 && r != -EOVERFLOW)
		return r;
	snapshot.asked[snapshot.n].netns = inode;
	snapshot.asked[snapshot.n].error = r;
	snapshot.asked[snapshot.n].sockets = r ? NULL : sockets;
	snapshot.asked[snapshot.n].n = r ? 0 : n;
	if (!r && n)
		qsort(sockets, n, sizeof(*sockets), by_port);
	snapshot.n++;
	return r ?: (int)snapshot.n - 1;
}

static size_t first_at(const struct listening_socket *sockets, size_t n, uint32_t port)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (sockets[middle].address.port < port)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int snapshot_at(const struct netns *netns, uint16_t port,
		const struct listening_socket **ret_sockets, size_t *ret_n)
{
	const struct listening_socket *sockets;
	int i = ask(netns);
	size_t first, n;

	if (i < 0)
		return i;
	sockets = snapshot.asked[i].sockets;
	n = snapshot.asked[i].n;
	first = first_at(sockets, n, port);
	*ret_sockets = sockets + first;
	*ret_n = first_at(sockets, n, (uint32_t)port + 1) - first;
	return 0;
}

int snapshot_queues(struct accounting *accounting, const struct hs_queue **ret_queues,
		    size_t *ret_n)
{
	struct queues *queues = accounting_queues(accounting);
	int r = 0;

	if (!queues)
		return -ENODATA;
	if (!snapshot.has_queues)
		r = queues_look(queues, &snapshot.queues);
	if (r < 0)
		return r;
	snapshot.has_queues = true;
	*ret_queues = snapshot.queues.items;
	*ret_n = snapshot.queues.n;
	return 0;
}
