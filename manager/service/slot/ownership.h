/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slots with different users: before the server of one runs, the sockets of the others are given to
 * its user, so that it can join their groups (plane/act/owners.h). Of two that start at the same
 * time the second waits until the first has its sockets, within bounds.
 */
#pragma once

#include "service/slot/instance.h"

/*
 * Part of a preparation: true when there is nothing (more) to do. False: an answer or another
 * instance is waited for, and preparation_run() is called again then. `ret_changed` is how many
 * sockets were given, or -errno.
 */
bool ownership_prepare(struct instance *instance, const struct unit_facts *facts, int *ret_changed);

/* Sockets of the instance were adopted: in a moment others may be prepared. */
void ownership_bound(struct instance *instance);
/* EVENT_ADOPTED. Sockets that an earlier hsd has handed over may be open to everybody: see
 * owners_close_datagrams(). Looks at each instance once. */
void ownership_heard(struct service *service, const struct event *event);
/* It will not open any. */
void ownership_ended(struct instance *instance);
/* The instance is forgotten. */
void ownership_done(struct instance *instance);
