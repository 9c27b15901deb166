// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/retire.h"
#include "plane/kernel/diag.h"
#include "util/macro.h"

struct ending {
	const struct plane *plane;
	const struct listener *listener;
	unsigned slot;
	struct connection *found;
	size_t n, room;
};

static int note(const struct connection *connection, void *userdata)
{
	struct ending *ending = userdata;
	struct accounting *accounting = plane_accounting(ending->plane);

	if (connection->tag.service_id != plane_id(ending->plane) ||
	    accounting_slot_of(accounting, connection->cookie, &connection->tag) != ending->slot)
		return 0;
	if (ending->n == ending->room) {
		size_t room = ending->room ? 2 * ending->room : 256;
		void *more = realloc(ending->found, room * sizeof(*ending->found));

		if (!more)
			return -ENOMEM;
		ending->found = more;
		ending->room = room;
	}
	ending->found[ending->n++] = *connection;
	return 0;
}

/* Noted first and ended then: the kernel's list must not change while it is read. */
static int reset_at(struct ending *ending, void (*tell)(const struct connection *connection))
{
	const struct listener *listener = ending->listener;
	int r = diag_connections(&listener->netns, listener->address.port,
				 accounting_tags_fd(plane_accounting(ending->plane)), note, ending);
	int ended = 0;

	for (size_t i = 0; !r && i < ending->n; i++) {
		if (tell)
			tell(&ending->found[i]);
		r = diag_destroy(&listener->netns, &ending->found[i]);
		ended += !r;
	}
	return r ? r : ended;
}

int reset_connections(struct plane *plane, unsigned slot,
		      void (*tell)(const struct connection *connection))
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	int total = 0, r = 0;

	if (!plane_accounting(plane))
		return -EOPNOTSUPP;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		struct ending ending = {.plane = plane, .listener = listeners[i], .slot = slot};

		if (listeners[i]->address.udp)
			continue;
		r = reset_at(&ending, tell);
		free(ending.found);
		total += MAX(r, 0);
	}
	return r < 0 ? r : total;
}
