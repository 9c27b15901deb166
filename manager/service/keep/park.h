/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parks of a service in the daemon: one for each TCP listener, opened when a slot is adopted
 * there, kept in systemd's store as well, and closed when nobody needs it any more.
 *
 * What waits in a park is handed over as soon as a slot is live on that listener and nothing is
 * held on purpose: a new park is opened, the old one closed, and the kernel moves the queue.
 * Nothing is done while nothing waits: the first connection wakes us, from then on a timer looks at
 * the queue until it is empty.
 */
#pragma once

#include <sys/types.h>

#include "plane/act/adopt.h"
#include "service/service.h"

struct park;

/* Takes over the parks that systemd has kept. Needs the service's plane. */
int park_new(struct service *service, struct park **ret_park);
/* Lets go: systemd keeps the parks for the next hsd. */
struct park *park_free(struct park *park);

/* The sockets of an adoption are in the map: makes sure that their listeners have parks, and hands
 * over what waits. The twins are taken. NULL is no park, here and below.
 *
 * `filter`: the unit that filters addresses, which a park would not: there must be none then. NULL
 * = there is no such unit. */
void park_on_adopted(struct park *park, struct adoption *adoption, const char *filter);
/* The word, the settings or the slots have changed: looks at everything at once. */
void park_look(struct park *park);
/* The service is managed no longer: closes all parks, what waits goes to the slots. */
void park_drop(struct park *park);

/* The sockets of all parks, to give them the owner that the other sockets have got: a group has
 * one. They stay the park's. Returns how many. */
size_t park_sockets(const struct park *park, int fds[PLANE_LISTENERS_MAX]);
