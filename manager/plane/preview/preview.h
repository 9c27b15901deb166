/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preview rules: this very connection goes to that slot, whatever the routing word says (hs_abi.h).
 * For probes, and for `hsctl exec`, whose program writes its rules itself.
 *
 * An owner makes rules between preview_begin() and preview_end(). It is a process or a cgroup, so
 * that others can see whether it lives: what a dead one has left, preview_sweep() takes away.
 *
 *	owner_of_process(0, &owner);
 *	preview_begin(plane, &owner);
 *	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
 *	preview_direct(plane, &(struct preview_wish) {&owner, slot}, fd, &to, &key);
 *	connect(fd, &to, ...); ... ; close(fd);
 *	preview_landed(plane, &key, &landing);
 *	preview_remove(plane, &key);
 *	preview_end(plane, &owner);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "plane/kernel/netns.h"
#include "plane/kernel/owner.h"
#include "plane/plane.h"

/* Makes the owner known, and the selectors of the service look for rules. Again is no harm. -EBUSY:
 * the lock was held for a second. */
int preview_begin(struct plane *plane, const struct hs_preview_owner_id *owner);
/* Whether it is known. */
bool preview_has_begun(const struct plane *plane, const struct hs_preview_owner_id *owner);
/* Removes all rules of this owner, and the owner. When it was the last the selectors look no more.
 * 0 also when there was nothing. */
int preview_end(struct plane *plane, const struct hs_preview_owner_id *owner);
/* The same for all owners that are no more. Returns how many, or -errno. */
int preview_sweep(struct plane *plane);

/*
 * The key of a connection. `netns`: of the listener that it goes to, as in its address (0 = the
 * manager's own). -EAFNOSUPPORT unless both are IPv4 or IPv6; -EINVAL when a source is not complete
 * (a wildcard address, port 0).
 */
struct preview_ends {
	const struct sockaddr *source, *dest;
	uint32_t netns;
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
};
int preview_key(const struct preview_ends *ends, struct hs_preview_key *ret_key);

/* Before the first packet. -EEXIST: another owner has a rule for it; -E2BIG: no room, which a
 * process finds only where processes have taken all of it. A rule of the same owner is made anew.
 */
int preview_add(struct plane *plane, const struct hs_preview_key *key, unsigned slot,
		const struct hs_preview_owner_id *owner);
void preview_remove(struct plane *plane, const struct hs_preview_key *key);

/*
 * Binds a socket, TCP or UDP and not yet bound or connected, to the address that it would reach
 * `dest` from and a free port, and adds the rule: what it then sends to `dest` lands on the slot. A
 * wildcard address as `dest` is this host, as for connect(2).
 * -errno of bind(2) and connect(2) (ENETUNREACH), or as preview_add(). Nothing blocks.
 */
struct preview_wish {
	const struct hs_preview_owner_id *owner;
	unsigned slot;
	const struct netns *netns; /* of the listener and of the socket; NULL: our own */
	bool aside; /* also to sockets of the slot that were set aside; see plane/parts/listener.h
		     */
};
int preview_direct(struct plane *plane, const struct preview_wish *wish, int socket_fd,
		   const struct sockaddr *dest, struct hs_preview_key *ret_key);

/*
 * Where a connection with a rule went. With hits and no misses it reached the slot. With misses the
 * slot had no live socket on that listener, and another took it, or nobody. With neither it has not
 * come to a selector of this service: nobody listens there, or somebody who is not managed.
 */
struct preview_landing {
	uint32_t hits, misses;
};
/* -ENOENT: no such rule. */
int preview_landed(const struct plane *plane, const struct hs_preview_key *key,
		   struct preview_landing *ret_landing);

/* How many rules there are, without the owners. */
unsigned preview_count(const struct plane *plane);
