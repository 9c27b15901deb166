// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/waiting.h"

#include "plane/bpf/census.h"
#include "plane/kernel/diag.h"
#include "util/macro.h"

struct walk {
	const struct plane *plane;
	unsigned slot;
	struct stall_names names;
	size_t room;
	uint64_t oldest;
};

static bool is_of_slot(const struct walk *walk, const struct connection *connection)
{
	struct accounting *accounting = plane_accounting(walk->plane);

	if (!accounting || !connection->tag.service_id)
		return true;
	return connection->tag.service_id == plane_id(walk->plane) &&
	       accounting_slot_of(accounting, connection->cookie, &connection->tag) == walk->slot;
}

static int add(struct stall_names *names, size_t *room, uint64_t cookie)
{
	size_t more = *room ? 2 * *room : 64;
	uint64_t *grown;

	if (names->n == *room) {
		grown = realloc(names->cookies, more * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		names->cookies = grown;
		*room = more;
	}
	names->cookies[names->n++] = cookie;
	return 0;
}

static int on_connection(const struct connection *connection, void *userdata)
{
	struct walk *walk = userdata;

	if (!connection_waits(connection) || !is_of_slot(walk, connection))
		return 0;
	walk->oldest = MAX(walk->oldest, connection_age(connection));
	return add(&walk->names, &walk->room, connection->cookie);
}

static int ascending(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

int waiting_names(const struct plane *plane, const struct listener *listener, unsigned slot,
		  struct stall_names *ret_names, uint64_t *ret_oldest)
{
	struct accounting *accounting = plane_accounting(plane);
	struct walk walk = {.plane = plane, .slot = slot};
	int r = diag_connections(&listener->netns, listener->address.port,
				 accounting ? accounting_tags_fd(accounting) : -1, on_connection,
				 &walk);

	if (r < 0) {
		free(walk.names.cookies);
		return r;
	}
	if (walk.names.n)
		qsort(walk.names.cookies, walk.names.n, sizeof(*walk.names.cookies), ascending);
	*ret_names = walk.names;
	if (ret_oldest)
		*ret_oldest = walk.oldest;
	return 0;
}

void waiting_leave(struct plane *plane, unsigned slot, unsigned to)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);

	/* first, so that whoever comes after us knows, should we end here */
	plane_set_suspect(plane, slot, true);
	plane_edit_word(plane, word_abandon, WORD_ARGS(.from = slot, .to = to), NULL);
	for (size_t i = 0; i < n; i++)
		listener_set_aside(listeners[i], slot);
	paths_set_aside(plane_paths(plane), slot);
}
