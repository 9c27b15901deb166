/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One listener of a service on the kernel side: a selector program for its reuseport group, the map
 * of its sockets, and the hints which entries are worth trying. All pinned in one folder.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/address.h"
#include "hs_abi.h"
#include "plane/bpf/selector.h"
#include "plane/kernel/netns.h"
#include "util/problem.h"

struct listener {
	struct address address;
	/* The namespace of its sockets. {-1, 0} also when it is another but no socket of it has
	 * been seen by this process yet: then the kernel cannot be asked about it. */
	struct netns netns;
	int selector_fd, sockets_fd;
	int owners_fd;		  /* -1 for UDP, where nothing migrates */
	struct hs_shards *shards; /* mapped */
	uint64_t build;		  /* of which the selector is that this process has opened */
};

/* Opens the pins in `folder`. -ENOENT when they are missing or incomplete. */
int listener_open(const char *folder, const struct address *address,
		  struct listener **ret_listener);
/* Loads the selector for the address's protocol and pins it with its maps in `folder`, which is
 * made. */
int listener_create(const char *folder, const struct address *address,
		    const struct selector_shared *shared, struct listener **ret_listener,
		    struct problem *problem);
/*
 * True when the selector is of another build than the one this program carries: after an upgrade of
 * the package. listener_renew() loads ours with the same maps and pins it in the old one's place;
 * sockets, word and counts stay. Groups get it when they are attached next; until then the old one
 * goes on.
 */
bool listener_is_outdated(const struct listener *listener);
int listener_renew(struct listener *listener, const char *folder,
		   const struct selector_shared *shared, struct problem *problem);
/* Takes the selector that another process has pinned by listener_renew(), and lets the old one go.
 */
void listener_follow(struct listener *listener, const char *folder);
/* Loads one more selector with the same maps, pinned nowhere. */
int listener_load_copy(const struct listener *listener, const char *folder,
		       const struct selector_shared *shared, int *ret_fd);
struct listener *listener_free(struct listener *listener);

/* Learns the namespace from one of its sockets. 0 also when it is known. */
int listener_learn_netns(struct listener *listener, int socket_fd);

/* Attaches the selector to the reuseport group of this listening socket; again is no harm. Kernel:
 * reuseport_attach_prog(). */
int listener_attach(const struct listener *listener, int socket_fd);
/* Gives the group of this socket back to the kernel's own choice. 0 also when there was no program.
 */
int listener_detach(int socket_fd);

/*
 * Puts a listening socket into a free place of the slot, or of HS_SLOT_PARK. 0 also when it is
 * there already. -ENOSPC: the slot has HS_SHARDS_MAX sockets. -EOPNOTSUPP: the kernel takes no such
 * socket (MPTCP). -EINVAL: not listening, or of UDP: not in a reuseport group.
 */
int listener_put(struct listener *listener, unsigned slot, int socket_fd, uint64_t cookie);

/* Takes all sockets of the slot out: no new flow goes there. Their queues stay where they are. */
void listener_withdraw(struct listener *listener, unsigned slot);
/* The same for all but the instance's own commands (struct hs_preview_rule, `aside`): the sockets
 * keep their places. For everybody else the slot has none. */
void listener_set_aside(struct listener *listener, unsigned slot);
/* One that was set aside, and has lost its place by a bounce, gets one again. As listener_put(). */
int listener_put_aside(struct listener *listener, unsigned slot, int socket_fd);

/* Takes one socket out, also one that was set aside. */
void listener_take_out(struct listener *listener, unsigned slot, uint64_t cookie);
/* Forgets that it was put anywhere. */
void listener_disown(struct listener *listener, uint64_t cookie);

/* The cookies of the slot's live sockets, from the kernel. Returns how many. */
unsigned listener_sockets(const struct listener *listener, unsigned slot,
			  uint64_t cookies[HS_SHARDS_MAX]);

/* Slots with a live socket, as a bit mask; the park is none. */
uint32_t listener_live_slots(const struct listener *listener);
/* The place that a socket with this cookie was put into, also when it has left it since;
 * HS_SLOT_NONE when it never had one here. */
unsigned listener_owner(const struct listener *listener, uint64_t cookie);

/* Whether the socket was put into this slot, and the slot's instance has not changed since; also
 * when it was withdrawn. False for UDP. */
bool listener_had(const struct listener *listener, unsigned slot, uint64_t cookie);

/* Drops the hints for sockets that have died since. */
void listener_tidy(struct listener *listener, unsigned slot);
/* Forgets which sockets earlier instances of the slot had. Not before those have ended: what waits
 * on a withdrawn socket is accounted for by this. */
void listener_tidy_owners(struct listener *listener, unsigned slot);

/* Whether no listener before this one of the array has the same port of UDP in the same namespace:
 * where the sockets of a port are listed, those of all are. */
bool listener_is_first(struct listener *const *listeners, size_t index);
/* The same for its namespace alone. */
bool listener_is_first_there(struct listener *const *listeners, size_t index);
