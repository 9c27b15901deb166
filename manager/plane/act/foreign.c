// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/foreign.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plane/borrow/borrow.h"
#include "plane/kernel/cgroup.h"
#include "util/macro.h"

struct search {
	const struct plane *plane;
	const struct foreign_scope *scope;
	const struct listening_socket *sockets; /* of the namespace that is looked at */
	size_t n_sockets;
	const struct netns *netns;
	bool down; /* no slot serves */
	struct foreign *found;
	bool own[FOREIGN_MAX];
	unsigned n;
};

static bool is_in_map(const struct plane *plane, uint64_t cookie)
{
	for (unsigned place = 0; place < HS_PLACES_MAX; place++)
		if (plane_slot_has(plane, place, cookie))
			return true;
	return false;
}

/* Opened by a process of a slot: not in the map yet, or not any more. */
static bool is_of_slot(const struct foreign_scope *scope, uint64_t cgroup_id)
{
	for (unsigned slot = 0; cgroup_id && slot < scope->n_slots; slot++)
		if (scope->cgroups[slot] && scope->cgroups[slot][0] &&
		    cgroup_contains(scope->cgroups[slot], cgroup_id))
			return true;
	return false;
}

static bool serves(const struct listener *listener)
{
	uint64_t cookies[HS_SHARDS_MAX];

	for (unsigned place = 0; place < HS_PLACES_MAX; place++)
		if (listener_sockets(listener, place, cookies))
			return true;
	return false;
}

/* Asked once more: a park that has been closed meanwhile, or that is out of the map, and that PID 1
 * has not closed yet, which kept a copy for hsd. What cannot be asked stays. */
static bool was_park(const struct search *search, const struct listening_socket *socket)
{
	const struct accounting *accounting = plane_accounting(search->plane);
	_cleanup_(freep) struct listening_socket *all = NULL;
	size_t n = 0;

	if (socket->address.udp ||
	    diag_listening_at(search->netns, false, socket->address.port,
			      accounting ? accounting_tags_fd(accounting) : -1, &all, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (all[i].cookie == socket->cookie)
			return all[i].tag.service_id == plane_id(search->plane) &&
			       all[i].tag.slot == HS_SLOT_PARK;
	return true;
}

static void add(struct search *search, const struct listening_socket *socket, bool in_front)
{
	if (search->n == FOREIGN_MAX || is_in_map(search->plane, socket->cookie) ||
	    is_of_slot(search->scope, socket->cgroup_id) || was_park(search, socket))
		return;
	search->found[search->n++] = (struct foreign) {
		.address = socket->address,
		.cookie = socket->cookie,
		.inode = socket->inode,
		.in_front = in_front,
	};
}

/* Whether it can be in a group with those of ours. */
static bool has_our_owner(const struct search *search, const struct listening_socket *socket)
{
	bool alone = true;

	for (size_t i = 0; i < search->n_sockets; i++) {
		const struct listening_socket *other = &search->sockets[i];

		if (!address_equal(&other->address, &socket->address) ||
		    !is_in_map(search->plane, other->cookie))
			continue;
		if (other->uid == socket->uid)
			return true;
		alone = false;
	}
	return alone;
}

static void compare(struct search *search, const struct listening_socket *socket)
{
	size_t n;
	struct listener **listeners = plane_listeners(search->plane, &n);
	bool same = false, in_front = false;

	for (size_t i = 0; i < n; i++) {
		const struct address *address = &listeners[i]->address;
		bool equal = address_equal(&socket->address, address);
		bool beats = address_beats(&socket->address, address);

		if ((!equal && !beats) || (!search->down && !serves(listeners[i])))
			continue;
		same |= equal;
		in_front |= beats;
	}
	/* with SO_REUSEADDR UDP sockets of several users can have one address: each user's are a
	 * group, and the kernel prefers the newest */
	if (same)
		in_front = socket->address.udp && !has_our_owner(search, socket);
	if (same || in_front)
		add(search, socket, in_front);
}

/* Only what is on the ports of the service: others may have thousands of sockets. */
static int ask(const struct plane *plane, const struct netns *netns,
	       struct listening_socket **ret_sockets, size_t *ret_n)
{
	struct address addresses[PLANE_LISTENERS_MAX];
	struct diag_wanted ports = {.addresses = addresses,
				    .n_addresses = plane_addresses(plane, addresses),
				    .by_port = true};

	return diag_listening_wanted(netns, true, &ports, ret_sockets, ret_n);
}

static int search_namespaces(struct search *search)
{
	size_t n_listeners, n;
	struct listener **listeners = plane_listeners(search->plane, &n_listeners);
	int r = 0;

	for (size_t i = 0; !r && i < n_listeners; i++) {
		_cleanup_(freep) struct listening_socket *sockets = NULL;

		if (!listener_is_first_there(listeners, i))
			continue;
		r = ask(search->plane, &listeners[i]->netns, &sockets, &n);
		search->netns = &listeners[i]->netns;
		search->sockets = sockets;
		search->n_sockets = r ? 0 : n;
		for (size_t k = 0; k < search->n_sockets; k++)
			compare(search, &sockets[k]);
	}
	return r;
}

static bool is_own(const struct search *search, const struct holder *holder)
{
	char service[SERVICE_NAME_MAX];
	unsigned slot;

	if (holder->pid == 1)
		return search->scope->activated;
	/* the park, on its way into the map */
	return holder->pid == getpid() || !strcmp(holder->unit, "hsd.service") ||
	       (!name_from_unit(holder->unit, service, &slot) && slot < search->scope->n_slots &&
		!strcmp(service, plane_service(search->plane)));
}

static void on_holder(struct search *search, const struct holder *holder)
{
	for (unsigned i = 0; i < search->n; i++) {
		if (search->found[i].inode != holder->inode)
			continue;
		search->own[i] |= is_own(search, holder);
		/* PID 1 may hold a copy of what a service has */
		if (search->found[i].holder.pid <= 1)
			search->found[i].holder = *holder;
	}
}

static int find_holders(struct search *search)
{
	_cleanup_(freep) struct holder *holders = NULL;
	uint32_t inodes[FOREIGN_MAX];
	unsigned kept = 0;
	size_t n = 0;
	int r;

	for (unsigned i = 0; i < search->n; i++)
		inodes[i] = search->found[i].inode;
	r = borrow_holders(inodes, search->n, &holders, &n);
	for (size_t i = 0; r >= 0 && i < n; i++)
		on_holder(search, &holders[i]);
	for (unsigned i = 0; i < search->n; i++)
		/* with nobody to name it is about to close, or about to be somebody's */
		if (!search->own[i] && search->found[i].holder.pid)
			search->found[kept++] = search->found[i];
	search->n = kept;
	return r;
}

int foreign_find(const struct plane *plane, const struct foreign_scope *scope,
		 struct foreign_list *ret_list)
{
	struct foreign_list list = {0};
	struct search search = {
		.plane = plane,
		.scope = scope,
		.down = !plane_live_slots(plane),
		.found = list.found,
	};
	int r = search_namespaces(&search);

	if (!r && search.n)
		r = find_holders(&search);
	if (r < 0)
		return r;
	list.n = search.n;
	*ret_list = list;
	return 0;
}

const char *foreign_describe(const struct foreign *foreign, char text[FOREIGN_TEXT_MAX])
{
	char address[ADDRESS_TEXT_MAX];

	snprintf(text, FOREIGN_TEXT_MAX, "process %d (%s%s%s) listens on %s", foreign->holder.pid,
		 foreign->holder.comm, foreign->holder.unit[0] ? ", " : "", foreign->holder.unit,
		 address_describe(&foreign->address, address));
	return text;
}

const char *foreign_effect(bool in_front)
{
	return in_front ? "it takes the connections to this address, which no slot gets to see; "
			  "stop it, or let it listen elsewhere"
			: "it gets no connection as long as a slot is ready or the park is open; "
			  "stop it, or start it as a slot";
}
