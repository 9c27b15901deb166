// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/owners.h"

#include <bpf/bpf.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "plane/act/served.h"
#include "plane/borrow/borrow.h"
#include "plane/bpf/guard.h"
#include "plane/claim.h"
#include "plane/kernel/cgroup.h"
#include "plane/kernel/program.h"
#include "util/macro.h"

static bool differ_in(const struct plane *plane, const struct netns *netns, uid_t uid)
{
	_cleanup_(freep) struct listening_socket *sockets = NULL;
	size_t n;

	if (served_listed(plane, netns, true, &sockets, &n) < 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (sockets[i].uid != uid && plane_find(plane, &sockets[i].address))
			return true;
	return false;
}

bool owners_differ(const struct plane *plane, uid_t uid)
{
	size_t n;
	struct listener **listeners = plane_listeners(plane, &n);
	bool differ = false;

	for (size_t i = 0; i < n && !differ; i++)
		if (listener_is_first_there(listeners, i))
			differ = differ_in(plane, &listeners[i]->netns, uid);
	return differ;
}

static int get_option(int fd, int name)
{
	socklen_t size = sizeof(int);
	int value = 0;

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -errno : value;
}

/* Of UDP the option would let any user's socket bind the address, and the kernel would prefer the
 * newest: there it is taken off, in the group nobody needs it. */
static int set_reuse(int fd)
{
	int wanted = get_option(fd, SO_TYPE) == SOCK_STREAM;

	if (get_option(fd, SO_REUSEADDR) == wanted)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &wanted, sizeof(wanted)) < 0 ? -errno : 1;
}

int owners_give_socket(int fd, uid_t uid)
{
	int r;

	if (get_option(fd, SO_REUSEPORT) != 1)
		return 0;
	r = set_reuse(fd);
	if (r < 0)
		return r;
	r = borrow_give(fd, uid);
	return r < 0 ? r : 1;
}

static int give(const struct plane *plane, const struct held_socket *held, uid_t uid)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = scan_borrow(held, &fd);

	if (r < 0)
		return r == -ESTALE ? 0 : r;
	return claim_is_of_another(plane, fd) ? 0 : owners_give_socket(fd, uid);
}

int owners_give(struct plane *plane, const char *cgroup, uid_t uid)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	int changed = 0, r;
	size_t n;

	r = served_sockets(plane, cgroup, &held, &n);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (held[i].socket.uid == uid || !plane_find(plane, &held[i].socket.address) ||
		    scan_is_passed_in(&held[i].socket, cgroup))
			continue;
		r = give(plane, &held[i], uid);
		changed += r > 0;
	}
	/* a cgroup that is gone has no sockets */
	return r < 0 && r != -ENOENT ? r : changed;
}

static int close_datagrams(const struct plane *plane, const struct held_socket *held)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = scan_borrow(held, &fd);

	if (r < 0)
		return r == -ESTALE ? 0 : r;
	if (get_option(fd, SO_REUSEPORT) != 1 || !claim_is_ours(plane, fd))
		return 0;
	return set_reuse(fd);
}

int owners_close_datagrams(const struct plane *plane, const char *cgroup)
{
	_cleanup_(freep) struct held_socket *held = NULL;
	int changed = 0, r;
	size_t n;

	r = served_sockets(plane, cgroup, &held, &n);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		const struct address *address = &held[i].socket.address;

		if (!address->udp || !plane_find(plane, address))
			continue;
		r = close_datagrams(plane, &held[i]);
		changed += r > 0;
	}
	return r < 0 && r != -ENOENT ? r : changed;
}

static int give_parked(const struct plane *plane, const struct listening_socket *socket, uid_t uid)
{
	_cleanup_(close_fdp) int fd = -1;
	int r;

	if (socket->uid == uid || !plane_slot_has(plane, HS_SLOT_PARK, socket->cookie))
		return 0;
	r = scan_borrow_unknown(socket, &fd);
	if (r < 0)
		return r == -ESTALE ? 0 : r;
	return owners_give_socket(fd, uid);
}

int owners_give_park(struct plane *plane, uid_t uid)
{
	size_t n_listeners, n;
	struct listener **listeners = plane_listeners(plane, &n_listeners);
	int changed = 0, r = 0;

	for (size_t i = 0; r >= 0 && i < n_listeners; i++) {
		_cleanup_(freep) struct listening_socket *sockets = NULL;

		if (!listener_is_first_there(listeners, i))
			continue;
		r = served_listed(plane, &listeners[i]->netns, false, &sockets, &n);
		for (size_t k = 0; r >= 0 && k < n; k++) {
			r = give_parked(plane, &sockets[k], uid);
			changed += r > 0;
		}
	}
	return r < 0 ? r : changed;
}

static bool program_exists(uint32_t id)
{
	/* what cannot be told is taken for no group */
	return borrow_program(id) > 0;
}

int owners_same_group(struct plane *plane, struct listener *listener, int one_fd, int other_fd)
{
	_cleanup_(close_fdp) int copy = -1;
	uint32_t id = 0;
	bool same;
	int r = plane_load_selector(plane, listener, &copy);

	if (!r)
		r = program_id(copy, &id);
	if (!r)
		r = guard_pass(one_fd, SO_ATTACH_REUSEPORT_EBPF, copy);
	if (r < 0)
		return r;
	r = listener_attach(listener, other_fd);
	/* only a group holds it on now */
	copy = close_fd(copy);
	same = !program_exists(id);
	if (!r && !same)
		r = listener_attach(listener, one_fd);
	return r < 0 ? r : same;
}
