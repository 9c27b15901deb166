/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The listeners of a plane. */
#pragma once

#include "core/config/config.h"
#include "plane/parts/listener.h"

#define PLANE_LISTENERS_MAX CONFIG_LISTENERS_MAX

struct plane;

/* The listeners known now. Valid until the next plane_listener_get() or plane_refresh(). */
struct listener **plane_listeners(const struct plane *plane, size_t *ret_n);
/* Their addresses. Returns how many. */
size_t plane_addresses(const struct plane *plane, struct address addresses[PLANE_LISTENERS_MAX]);
/* The listener with this address; NULL when it is not known. */
struct listener *plane_find(const struct plane *plane, const struct address *address);
/* The listener with this address, made if it is new. */
int plane_listener_get(struct plane *plane, const struct address *address,
		       struct listener **ret_listener, struct problem *problem);
/* Looks for listeners, flows and paths that another process has pinned since. */
int plane_refresh(struct plane *plane);
/* Whether some slot has a socket there. */
bool plane_listener_is_live(const struct listener *listener);
/* Whether one of them is a UDP listener. */
bool plane_has_datagrams(const struct plane *plane);
/* Forgets listeners that serve no more and differ from this one in the network namespace only. */
void plane_forget_elsewhere(struct plane *plane, const struct address *address);
/* Forgets listeners on ports that the settings do not name: their sockets leave the maps, and the
 * pins go. See plane/act/outside.h. */
void plane_forget_outside(struct plane *plane, const struct config *config);
/* One more selector of a listener, for tests by doing: the same program with the same maps. */
int plane_load_selector(struct plane *plane, const struct listener *listener, int *ret_fd);
