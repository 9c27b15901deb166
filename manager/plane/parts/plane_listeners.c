// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/parts/plane_listeners.h"

#include <string.h>

#include "plane/bpf/accounting.h"
#include "plane/bpf/guard.h"
#include "plane/bpf/own.h"
#include "plane/parts/plane_state.h"
#include "plane/parts/plane_tables.h"
#include "plane/parts/trace.h"
#include "util/macro.h"

static struct pin_path listener_path(const struct plane *plane, const struct address *address)
{
	char name[ADDRESS_PIN_MAX];

	return pin_path("%s/%s", plane->folder.text, address_to_pin(address, name));
}

struct listener *plane_find(const struct plane *plane, const struct address *address)
{
	for (size_t i = 0; i < plane->n_listeners; i++)
		if (address_equal(&plane->listeners[i]->address, address))
			return plane->listeners[i];
	return NULL;
}

static void add_to_list(struct plane *plane, struct listener *listener)
{
	struct own *own = plane_own(plane);

	plane->listeners[plane->n_listeners++] = listener;
	if (plane->accounting)
		accounting_watch_port(plane->accounting, listener->address.port);
	if (own)
		own_add_address(own, plane->control->service_id, &listener->address);
}

static int open_listener(const char *name, void *userdata)
{
	struct plane *plane = userdata;
	struct listener *listener;
	struct address address;
	int r;

	if (address_from_pin(name, &address))
		return 0;
	listener = plane_find(plane, &address);
	if (listener) {
		listener_follow(listener, listener_path(plane, &address).text);
		return 0;
	}
	if (plane->n_listeners == PLANE_LISTENERS_MAX)
		return -ENOSPC;
	r = listener_open(listener_path(plane, &address).text, &address, &listener);
	if (!r)
		add_to_list(plane, listener);
	/* a half-made one is made again when its sockets are adopted */
	return r == -ENOENT ? 0 : r;
}

int plane_refresh(struct plane *plane)
{
	int r = plane_open_flows(plane);

	if (!r)
		r = plane_open_paths(plane);
	return r ? r : pins_each_folder(plane->folder.text, open_listener, plane);
}

struct listener **plane_listeners(const struct plane *plane, size_t *ret_n)
{
	*ret_n = plane->n_listeners;
	return (struct listener **)plane->listeners;
}

size_t plane_addresses(const struct plane *plane, struct address addresses[PLANE_LISTENERS_MAX])
{
	for (size_t i = 0; i < plane->n_listeners; i++)
		addresses[i] = plane->listeners[i]->address;
	return plane->n_listeners;
}

bool plane_listener_is_live(const struct listener *listener)
{
	uint64_t cookies[HS_SHARDS_MAX];

	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++)
		if (listener_sockets(listener, slot, cookies))
			return true;
	return false;
}

bool plane_has_datagrams(const struct plane *plane)
{
	for (size_t i = 0; i < plane->n_listeners; i++)
		if (plane->listeners[i]->address.udp)
			return true;
	return false;
}

/* ---- forgetting ---- */

/* One with a park is not: connections may wait there. hsd closes the park of an address that is not
 * served any more, see service/keep/park.h. */
static bool is_dead(const struct listener *listener)
{
	uint64_t cookies[HS_SHARDS_MAX];

	for (unsigned place = 0; place < HS_PLACES_MAX; place++)
		if (listener_sockets(listener, place, cookies))
			return false;
	return true;
}

/* True for a listener that no slot serves in a namespace other than this one's, all else alike. A
 * park there keeps nothing but the namespace: its owner sees that the listener is gone. */
static bool is_elsewhere(const struct listener *listener, const struct address *address)
{
	struct address moved = listener->address;

	moved.netns = address->netns;
	return listener->address.netns && listener->address.netns != address->netns &&
	       address_equal(&moved, address) && !listener_live_slots(listener);
}

static void drop(struct plane *plane, struct listener *listener)
{
	pins_remove(listener_path(plane, &listener->address).text);
	guard_forget_address(plane->control->service_id, &listener->address);
	listener_free(listener);
}

/* Drops listeners without a socket, or those that are elsewhere than `address`. Should sockets
 * that were withdrawn keep a dropped selector going, it falls open; the next adoption attaches a
 * new one. */
static void drop_dead_listeners(struct plane *plane, const struct address *address)
{
	size_t kept = 0;

	for (size_t i = 0; i < plane->n_listeners; i++) {
		struct listener *listener = plane->listeners[i];

		if (address ? is_elsewhere(listener, address) : is_dead(listener))
			drop(plane, listener);
		else
			plane->listeners[kept++] = listener;
	}
	plane->n_listeners = kept;
}

void plane_forget_outside(struct plane *plane, const struct config *config)
{
	size_t kept = 0;

	for (size_t i = 0; i < plane->n_listeners; i++) {
		struct listener *listener = plane->listeners[i];

		if (config_has_port(config, listener->address.port, listener->address.udp)) {
			plane->listeners[kept++] = listener;
			continue;
		}
		for (unsigned place = 0; place < HS_PLACES_MAX; place++)
			listener_withdraw(listener, place);
		drop(plane, listener);
	}
	plane->n_listeners = kept;
}

void plane_forget_elsewhere(struct plane *plane, const struct address *address)
{
	drop_dead_listeners(plane, address);
}

/* ---- making ---- */

static int marks_fd(const struct plane *plane)
{
	struct own *own = plane_own(plane);

	return own ? own_marks_fd(own) : -1;
}

static struct selector_shared shared_maps(const struct plane *plane, const struct address *address)
{
	return (struct selector_shared) {
		.control_fd = plane->control_fd,
		.counters_fd = plane->counters_fd,
		.events_fd = plane->events_fd,
		.preview_fd = plane->preview_fd,
		.prefixes_fd = plane->prefixes_fd,
		.tables_fd = plane->tables_fd,
		.pinned_fd = plane->pinned_fd,
		.moved_fd = plane->accounting ? accounting_moved_fd(plane->accounting) : -1,
		.marks_fd = marks_fd(plane),
		.flows_fd = plane->flows.fd,
		.trace_rings_fd = plane->trace_rings_fd,
		.trace_terms_fd = plane->trace_terms_fd,
		.netns = address->netns,
		.trace_listener = trace_name(address),
	};
}

static int add_listener(struct plane *plane, const struct address *address,
			struct listener **ret_listener, struct problem *problem)
{
	struct selector_shared shared;
	int r;

	/* servers that listen on another port at every start would fill the table in time */
	if (plane->n_listeners == PLANE_LISTENERS_MAX)
		drop_dead_listeners(plane, NULL);
	if (plane->n_listeners == PLANE_LISTENERS_MAX)
		return problem_set(problem, -ENOSPC,
				   "service %s has %u listeners already, the most there may be; "
				   "name the ports that matter in Ports=",
				   plane->service, PLANE_LISTENERS_MAX);
	r = address->udp ? plane_make_flows(plane) : 0;
	if (r < 0)
		return problem_set(problem, r, "cannot make the table of UDP flows: %s",
				   strerror(-r));
	shared = shared_maps(plane, address);
	r = listener_create(listener_path(plane, address).text, address, &shared, ret_listener,
			    problem);
	if (!r)
		add_to_list(plane, *ret_listener);
	return r;
}

/* An old selector that cannot be replaced goes on as it is: that is no reason not to adopt. */
static void renew(struct plane *plane, struct listener *listener)
{
	struct selector_shared shared = shared_maps(plane, &listener->address);
	_cleanup_(close_fdp) int lock = -1;

	if (listener_is_outdated(listener) && !pins_lock(HS_PIN_ROOT, 1, &lock))
		listener_renew(listener, listener_path(plane, &listener->address).text, &shared,
			       NULL);
}

int plane_listener_get(struct plane *plane, const struct address *address,
		       struct listener **ret_listener, struct problem *problem)
{
	_cleanup_(close_fdp) int lock = -1;
	struct listener *listener = plane_find(plane, address);
	int r;

	if (listener) {
		renew(plane, listener);
		*ret_listener = listener;
		return 0;
	}
	/* only one process at a time makes pins; another may have made these meanwhile */
	r = pins_lock(HS_PIN_ROOT, 1, &lock);
	if (r < 0)
		return pins_explain_lock(r, problem);
	r = plane_refresh(plane);
	if (r < 0)
		return problem_set(problem, r, "cannot read the pins of service %s: %s",
				   plane->service, strerror(-r));
	listener = plane_find(plane, address);
	if (!listener)
		return add_listener(plane, address, ret_listener, problem);
	*ret_listener = listener;
	return 0;
}

int plane_load_selector(struct plane *plane, const struct listener *listener, int *ret_fd)
{
	struct selector_shared shared = shared_maps(plane, &listener->address);

	return listener_load_copy(listener, listener_path(plane, &listener->address).text, &shared,
				  ret_fd);
}
