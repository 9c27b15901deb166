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

#include "service/service.h"

struct park;

/* Takes over the parks that systemd has kept. Needs the service's plane. The sockets of all parks
 * are the service's `park_sockets` from then on, to give them the owner that the other sockets have
 * got: a group has one. They stay the park's. */
int park_new(struct service *service, struct park **ret_park);
/* Lets go: systemd keeps the parks for the next hsd. */
struct park *park_free(struct park *park);

/* EVENT_ADOPTED: makes sure that the listeners of the sockets have parks, takes their twins, and
 * hands over what waits. Where a unit filters addresses, which a park would not, there must be
 * none. EVENT_UNADOPTED, EVENT_LOST. */
void park_heard(struct service *service, const struct event *event);
/* The word, the settings or the slots have changed: looks at everything at once. NULL is
 * no park, here and below. */
void park_look(struct park *park);
/* The service is managed no longer: closes all parks, what waits goes to the slots. */
void park_drop(struct park *park);
