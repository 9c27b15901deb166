// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/adopt_judge.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "plane/act/owners.h"
#include "plane/borrow/borrow.h"
#include "plane/borrow/latejoin.h"
#include "plane/bpf/guard.h"
#include "plane/bpf/pins.h"
#include "plane/kernel/ephemeral.h"
#include "plane/kernel/holder.h"
#include "util/macro.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

bool adopt_is_no_matter(enum adopt_verdict verdict)
{
	return verdict == ADOPT_OK || verdict == ADOPT_PORT_LEFT_OUT || verdict == ADOPT_NOT_OURS;
}

void adoption_count(struct adoption *adoption)
{
	adoption->adopted = adoption->n_paths;
	adoption->refused = adoption->contested = 0;
	for (size_t i = 0; i < adoption->n; i++) {
		enum adopt_verdict verdict = adoption->sockets[i].verdict;

		adoption->adopted += verdict == ADOPT_OK;
		adoption->refused += !adopt_is_no_matter(verdict);
		adoption->contested += verdict == ADOPT_BELONGS;
	}
}

void adopt_refuse(struct adopted_socket *socket, int error)
{
	socket->error = 0;
	if (error == -EOPNOTSUPP) {
		socket->verdict = ADOPT_MPTCP;
	} else if (error == -ENOSPC) {
		socket->verdict = ADOPT_FULL;
	} else {
		socket->verdict = ADOPT_ERROR;
		socket->error = error;
	}
}

/* ---- whether it is an address of the service ---- */

static bool in_scope(const struct adopt_scope *scope, const struct address *address)
{
	for (size_t i = 0; i < scope->n_ports; i++)
		if (scope->ports[i].port == address->port)
			return address->udp ? scope->ports[i].udp : scope->ports[i].tcp;
	return !scope->n_ports;
}

/* On an address that the service has. */
static bool is_of_service(const struct plane *plane, const struct adopt_scope *scope,
			  const struct address *address)
{
	return plane_find(plane, address) || (scope->n_ports && in_scope(scope, address));
}

/* Of a process that has none of the service's own sockets. */
static bool is_of_session(const struct plane *plane, const struct adopt_scope *scope,
			  const struct adoption *adoption, const struct held_socket *held)
{
	if (!scope->settled || is_of_service(plane, scope, &held->socket.address))
		return false;
	for (size_t i = 0; i < adoption->n; i++) {
		const struct held_socket *other = &adoption->sockets[i].held;

		if (other->pid == held->pid && is_of_service(plane, scope, &other->socket.address))
			return false;
	}
	return true;
}

/* podman's watcher of a container holds a socket on each published port, so that nobody else takes
 * it; connections are sent past it. */
static bool is_reserved(const struct adoption *adoption, const struct adopted_socket *socket)
{
	struct holder holder = {.pid = socket->held.pid};

	/* the name is asked for once a process */
	if (socket > adoption->sockets && socket[-1].held.pid == holder.pid &&
	    socket[-1].verdict != ADOPT_PORT_LEFT_OUT)
		return socket[-1].verdict == ADOPT_RESERVED;
	holder_read_comm(&holder);
	return !strcmp(holder.comm, "conmon");
}

/* ---- whether it can be in a group ---- */

static int get_option(int fd, int level, int name)
{
	int value = 0;
	socklen_t size = sizeof(value);

	return getsockopt(fd, level, name, &value, &size) < 0 ? -errno : value;
}

static enum adopt_verdict judge_options(int fd)
{
	if (get_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_MPTCP)
		return ADOPT_MPTCP;
	return get_option(fd, SOL_SOCKET, SO_REUSEPORT) == 1 ? ADOPT_OK : ADOPT_NO_REUSEPORT;
}

/* On a port as the kernel gives to those who name none, and not in Ports=. */
static bool is_own_question(const struct adopt_scope *scope, const struct address *address)
{
	return !scope->n_ports && ephemeral_has(ephemeral_range(), address->port);
}

/*
 * Whether a socket that came without the option, or in no group, is brought into one. What a socket
 * unit passed in: always, it stems from before the unit was told to set it. What the server bound
 * itself: where the intake is forced, when it is from before the bind programs were there; those
 * whose port the kernel chose never have the option.
 */
static bool joins_late(const struct adopt_scope *scope, const struct listening_socket *socket)
{
	if (scan_is_passed_in(socket, scope->cgroup))
		return true;
	return scope->late && !is_own_question(scope, &socket->address);
}

static enum adopt_verdict judge_bare(const struct adopt_scope *scope,
				     const struct listening_socket *socket)
{
	if (joins_late(scope, socket))
		return ADOPT_OK;
	/* of UDP there are such in many servers: nothing to tell the user about */
	if (scope->late || (socket->address.udp && is_own_question(scope, &socket->address)))
		return ADOPT_PORT_LEFT_OUT;
	return ADOPT_NO_REUSEPORT;
}

/* ---- into the group ---- */

/* Whether the present run's main process has it: PID 1 has kept it from the run before, in the
 * descriptor store or with a socket unit, and has passed it on. */
static bool is_passed_on(const struct adopt_scope *scope, const struct held_socket *held)
{
	_cleanup_(freep) struct holder *holders = NULL;
	size_t n = 0;

	if (!scope->main_pid || borrow_holders(&held->socket.inode, 1, &holders, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (holders[i].pid == scope->main_pid)
			return true;
	return false;
}

/* Before anything is done to the socket or its group. */
static void claim(const struct plane *plane, const struct adopt_scope *scope,
		  const struct adoption *adoption, struct adopted_socket *socket, int fd)
{
	int r = claim_take(plane, scope->slot, &socket->held.socket, fd, &adoption->claimed,
			   &socket->owner);

	if (r == CLAIM_LEFT && is_passed_on(scope, &socket->held))
		r = claim_again(plane, scope->slot, fd);
	if (r == -EBUSY)
		pins_explain_lock(r, &socket->reason);
	if (r < 0)
		adopt_refuse(socket, r);
	else if (r == CLAIM_BELONGS)
		socket->verdict = ADOPT_BELONGS;
	else if (r != CLAIM_TAKEN)
		socket->verdict = ADOPT_NOT_OURS;
}

void adopt_guard(const struct plane *plane, const char *cgroup, bool everywhere)
{
	struct accounting *accounting = plane_accounting(plane);
	struct guard *guard = accounting ? accounting_guard(accounting) : NULL;

	if (!guard)
		return;
	guard_cgroup(guard, cgroup);
	if (everywhere)
		guard_everywhere(guard);
}

/* Before the selector is attached: then there is no moment in which it could be taken off. */
static void guard_socket(const struct plane *plane, const struct adopt_scope *scope,
			 const struct listening_socket *socket, int fd)
{
	struct accounting *accounting = plane_accounting(plane);
	struct guard *guard = accounting ? accounting_guard(accounting) : NULL;

	if (!guard)
		return;
	guard_port(guard, &socket->address, fd, plane_id(plane));
	/* it belongs to the cgroup of who made it, which is systemd's */
	if (scan_is_passed_in(socket, scope->cgroup))
		guard_everywhere(guard);
}

static int attach_late(const struct listener *listener, int fd, struct adoption *adoption,
		       struct problem *problem)
{
	int helper, r = late_join(fd, &helper);

	if (r < 0)
		return problem_set(problem, r,
				   "it was bound without SO_REUSEPORT and cannot be given it while "
				   "it serves: %s; restart the instance",
				   strerror(-r));
	adoption->helpers[adoption->n_helpers++] = helper;
	return listener_attach(listener, fd);
}

/* Sees to it that the socket's group has the selector. */
static int attach(struct plane *plane, const struct adopt_scope *scope, struct adoption *adoption,
		  struct adopted_socket *socket, int fd)
{
	struct listener *listener;
	int r = plane_listener_get(plane, &socket->held.socket.address, &listener, &socket->reason);

	if (!r)
		r = listener_learn_netns(listener, fd);
	if (!r) {
		guard_socket(plane, scope, &socket->held.socket, fd);
		r = listener_attach(listener, fd);
	}
	if (r == -EINVAL && joins_late(scope, &socket->held.socket))
		r = attach_late(listener, fd, adoption, &socket->reason);
	return r;
}

int adopt_judge(struct plane *plane, const struct adopt_scope *scope, struct adoption *adoption,
		struct adopted_socket *socket)
{
	const struct address *address = &socket->held.socket.address;
	_cleanup_(close_fdp) int fd = -1;
	int r;

	if (!in_scope(scope, address) || (address->udp && address_is_for_many(address)) ||
	    is_of_session(plane, scope, adoption, &socket->held)) {
		socket->verdict = ADOPT_PORT_LEFT_OUT;
		return 0;
	}
	if (is_reserved(adoption, socket)) {
		socket->verdict = ADOPT_RESERVED;
		return 0;
	}
	r = scan_borrow(&socket->held, &fd);
	if (r < 0)
		return r;
	socket->verdict = judge_options(fd);
	if (socket->verdict == ADOPT_NO_REUSEPORT)
		socket->verdict = judge_bare(scope, &socket->held.socket);
	if (socket->verdict == ADOPT_OK)
		claim(plane, scope, adoption, socket, fd);
	if (socket->verdict != ADOPT_OK)
		return 0;
	/* either may wait for who makes pins, which is nothing that the socket's owner does */
	scan_tell(&socket->held);
	r = attach(plane, scope, adoption, socket, fd);
	if (r == -EINVAL) /* the option is there, but came too late: it is in no group */
		socket->verdict = ADOPT_NO_REUSEPORT;
	else if (r < 0)
		adopt_refuse(socket, r);
	if (r < 0)
		claim_drop(plane, fd);
	else
		claim_keep(&adoption->claimed, address, fd);
	return 0;
}

/* ---- of one owner ---- */

/* What cannot be found out is no reason to refuse: at worst the selector cannot choose it. */
static bool shares_group(struct plane *plane, const struct held_socket *mine,
			 const struct listening_socket *other)
{
	_cleanup_(close_fdp) int mine_fd = -1, other_fd = -1;
	struct listener *listener;

	if (scan_borrow(mine, &mine_fd) < 0 || scan_borrow_unknown(other, &other_fd) < 0 ||
	    plane_listener_get(plane, &other->address, &listener, NULL) < 0)
		return true;
	if (owners_same_group(plane, listener, mine_fd, other_fd))
		return true;
	/* its group is nothing of ours */
	listener_detach(mine_fd);
	claim_drop(plane, mine_fd);
	return false;
}

static bool is_of_another(const struct plane *plane, unsigned slot, uint64_t cookie)
{
	for (unsigned place = 0; place < HS_PLACES_MAX; place++)
		if (place != slot && plane_slot_has(plane, place, cookie))
			return true;
	return false;
}

/* Whether other slots, or the park, are there. */
static bool is_shared(const struct listener *listener, unsigned slot)
{
	uint64_t cookies[HS_SHARDS_MAX];

	for (unsigned place = 0; place < HS_PLACES_MAX; place++)
		if (place != slot && listener_sockets(listener, place, cookies))
			return true;
	return false;
}

static void judge_owner(struct plane *plane, unsigned slot, struct adopted_socket *socket)
{
	const struct listening_socket *mine = &socket->held.socket;
	_cleanup_(freep) struct listening_socket *all = NULL;
	struct listener *listener;
	size_t n = 0;

	if (socket->verdict != ADOPT_OK)
		return;
	scan_tell(&socket->held);
	if (plane_listener_get(plane, &mine->address, &listener, NULL) < 0 ||
	    !is_shared(listener, slot) ||
	    diag_listening_at(&listener->netns, mine->address.udp, mine->address.port, -1, &all,
			      &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!address_equal(&mine->address, &all[i].address) || mine->uid == all[i].uid ||
		    !is_of_another(plane, slot, all[i].cookie))
			continue;
		if (!shares_group(plane, &socket->held, &all[i]))
			socket->verdict = ADOPT_OTHER_UID;
		return;
	}
}

void adopt_judge_owners(struct plane *plane, unsigned slot, struct adoption *adoption)
{
	for (size_t i = 0; i < adoption->n; i++)
		judge_owner(plane, slot, &adoption->sockets[i]);
}
