/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parks of a service are made of: its places, each the park of one listener; the sockets
 * that leave; and what is kept of the places while all slots are stopped on purpose. When each is
 * due, service/keep/park.c says.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "core/watch/queue_age.h"
#include "service/keep/park_log.h"

/* The park of one listener. */
struct park_place {
	struct park *park;
	struct address address;
	int fd;
	uint64_t cookie;
	sd_event_source *readable; /* on: nothing waits */
	struct work *renewal;	   /* another in its place is being made */
	struct work *spare;	   /* likewise, for when the address is wanted again */
	struct queue_age age;
	uint64_t unserved_since; /* the service has slots, and none serves this address; 0 = no */
};

/* A park that was replaced, or is not needed any more: handshakes settle on it. */
struct park_leaving {
	struct address address;
	int fd;
	uint64_t cookie, due;
};

/* Where a park was, until all slots were stopped on purpose: a socket like it that has nothing of
 * the address. */
struct park_dormant {
	struct address address;
	int fd;
	unsigned max;
};

struct park {
	struct service *service;
	struct park_place *places[PLANE_LISTENERS_MAX];
	size_t n_places;
	struct park_leaving leaving[2 * PLANE_LISTENERS_MAX];
	size_t n_leaving;
	struct park_dormant dormant[PLANE_LISTENERS_MAX];
	size_t n_dormant;
	sd_event_source *timer;
	struct park_log log;
	bool unfit;		 /* its instances' units filter addresses */
	uint64_t put_down_since; /* all slots were stopped on purpose; 0 = no */
};

/* ---- service/keep/park_place.c ---- */

/* The timer, at which service/keep/park.c looks at everything, goes off at the earlier of this and
 * what it is set to. */
void park_look_soon(struct park *park, uint64_t now, uint64_t when);

/* NULL: the service does not listen there any more. */
struct listener *park_listener(const struct park *park, const struct address *address);
struct park_place *park_place_find(const struct park *park, const struct address *address);
/* Takes the descriptor over, also when it fails. */
int park_place_add(struct park *park, const struct address *address, int fd);
/* What waits there goes to the slots, once handshakes have settled. Frees the place. */
void park_place_give_up(struct park *park, struct park_place *place);
/* The same; who waits at an address that nobody will serve is told so, not reset. */
void park_place_close(struct park *park, struct park_place *place, int waiting);
/* Frees the place, and leaves its socket to systemd's store. */
void park_place_forget(struct park *park, struct park_place *place);

/* Puts the socket in the map and in the store: the store first, from the moment that it is in the
 * map connections may wait there. */
int park_open_at(struct park *park, const struct address *address, int fd, unsigned max);
/* The new one in the place of the old one; takes it over. Where none can be opened (`fd` negative)
 * the old one leaves all the same: what waits there has waited long enough. */
void park_place_replace(struct park *park, struct park_place *place, int fd, unsigned max);
/* By another of its kind, which has to be made first. */
void park_place_renew(struct park *park, struct park_place *place);
/* Has a socket made like that of the place: its owner may be another than we are, and its
 * namespace. */
int park_order_twin(struct park *park, struct park_place *place, bool spare, work_fn on_done,
		    struct work **ret_work);

/* Takes the descriptor over: the park closes when handshakes have settled on it. */
void park_let_leave(struct park *park, const struct address *address, int fd, uint64_t cookie);
/* In the order in which they were given up, and all that are due at once. */
void park_leave_due(struct park *park, uint64_t now);

/* On purpose. */
bool park_is_held(const struct park *park);
bool park_is_wanted(const struct park *park);
/* There is a slot that takes what waits. */
bool park_place_can_hand_over(const struct park *park, const struct park_place *place);
/* How many may wait, where the instance's own socket lets so many wait. */
unsigned park_room(const struct park *park, unsigned backlog);

/* ---- service/keep/park_dormant.c: while all slots are stopped on purpose ---- */

/* Gives the place up, as soon as there is a socket like it that has nothing of the address. False:
 * there will be none, so it may be given up now. */
bool park_place_put_down(struct park *park, struct park_place *place);
/* Makes places again of all that were put down. */
void park_rouse(struct park *park);
