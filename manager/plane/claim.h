/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One owner for each address: the service whose sockets serve it. A second service that comes there
 * is refused before anything of the first is touched: its selector, its map, its options, its park.
 *
 * The claim is the tag of a listening socket (hs_abi.h, struct hs_tag), which the park carries as
 * well. So it needs no keeping: it is there as long as the socket is, whoever runs or does not, and
 * ends with the last of them. A tag counts while the service that it names has pins: what a service
 * that was disabled leaves is free.
 *
 * Who is refused: a socket on the very address of another service's (namespace, protocol, family
 * and v6only, address, port, device), as it would be in the same reuseport group; and one that the
 * kernel prefers to another service's for some clients (address_beats()), as it would take those.
 * Not refused: one that stands behind, as the wildcard does behind a single address, or [::] behind
 * 0.0.0.0; and one on an address where the service has a socket or a park already.
 *
 * Without accounting there are no tags, and all is free.
 */
#pragma once

#include <stdbool.h>

#include "core/name.h"
#include "plane/kernel/diag.h"
#include "plane/plane.h"

enum claim_answer {
	CLAIM_TAKEN, /* it is ours, now or before */
	CLAIM_PARK,  /* the socket itself is our own park's */
	CLAIM_LEFT,  /* the socket itself was left by an earlier run (plane/act/shed.h); nobody's,
		      * unless the present run was given it */
	CLAIM_ALIEN, /* the socket itself is another service's, its park's perhaps: whoever holds it
		      * is about to let go of it, as a child of PID 1 before it runs its program */
	CLAIM_BELONGS, /* the address belongs to another service */
};

struct claim_owner {
	char service[SERVICE_NAME_MAX];
	struct address address; /* that it serves there */
};

/* The last address that was claimed, kept by a socket of ours there: as long as that is open,
 * nobody else can claim the address. */
struct claim_hold {
	int fd; /* -1 = none */
	struct address address;
};

#define CLAIM_HOLD_NONE ((struct claim_hold) {.fd = -1})

/* Keeps the address of a socket that was taken, in place of the one before. */
void claim_keep(struct claim_hold *hold, const struct address *address, int socket_fd);
void claim_release(struct claim_hold *hold);

/*
 * Claims the address of a listening socket for the slot, before anything else is done with it. One
 * process at a time. `hold`: an address of which it is known that it is ours; may be NULL.
 * `ret_owner` is set with CLAIM_BELONGS. -errno: it could not be found out, and is not claimed.
 */
int claim_take(const struct plane *plane, unsigned slot, const struct listening_socket *socket,
	       int socket_fd, const struct claim_hold *hold, struct claim_owner *ret_owner);

/* What claim_take() has called CLAIM_LEFT is the slot's again. CLAIM_TAKEN, or -errno. */
int claim_again(const struct plane *plane, unsigned slot, int socket_fd);

/* Whether another service has the address of a listening socket, which is not claimed: 1 =
 * `ret_owner` is it. */
int claim_ask(const struct plane *plane, const struct listening_socket *socket, int socket_fd,
	      struct claim_owner *ret_owner);
/* The sentence for CLAIM_BELONGS: whose address it is, and what to do. */
void claim_describe(const struct address *address, const struct claim_owner *owner,
		    struct problem *ret_sentence);

/* Gives it back: the socket was taken, and cannot be switched for another reason. */
void claim_drop(const struct plane *plane, int socket_fd);

/* Whether the socket has another service's tag: it must not be touched. */
bool claim_is_of_another(const struct plane *plane, int socket_fd);
/* Whether it has this service's, of a slot; always without accounting. */
bool claim_is_ours(const struct plane *plane, int socket_fd);

/* The service with this hs_control.service_id. -ENOENT: none has it (any more). */
int claim_find_service(uint32_t service_id, char ret_service[SERVICE_NAME_MAX]);
