/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sockets that the slots of a service have at its public paths (core/path.h), as adoption has
 * found them: a pinned table, so that any manager knows them, and whether they live, without being
 * allowed to look into an instance. Which of them gets the connections is plane/path/activelink.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hs_abi.h"
#include "plane/path/unixdiag.h"

struct paths {
	int fd;			 /* -1: there is no table, as the service has no path */
	struct hs_path *entries; /* mapped: HS_SLOTS_MAX * HS_PATHS_MAX */
	struct path_counts *counts;
};

struct path_queue {
	uint64_t cookie;
	struct unix_waiting waiting;
};

#define PATHS_NONE ((struct paths) {.fd = -1})

/* Opens the table pinned in a service's folder. -ENOENT: it has none. */
int paths_open(const char *folder, struct paths *ret_paths);
/* Makes an empty one and pins it. -EEXIST: somebody else was faster. */
int paths_create(const char *folder);
void paths_done(struct paths *paths);

/* All but paths_put() take a service without paths: it has none then. */

/* The slot's socket at this path is that one from now on, and gets connections. -ENOSPC. */
int paths_put(struct paths *paths, unsigned slot, const char *path,
	      const struct unix_listener *listener);
/* What was adopted at paths that are not among these ones is forgotten. */
void paths_keep(struct paths *paths, unsigned slot, const char (*kept)[HS_PATH_MAX], unsigned n);
/* The slot is to get nothing new; what waits there stays. */
void paths_set_aside(const struct paths *paths, unsigned slot);
bool paths_is_aside(const struct paths *paths, unsigned slot);

/* The cookies of sockets that live and get connections if the slot is the active one. Returns how
 * many. What cannot be asked is taken to live. */
unsigned paths_sockets(const struct paths *paths, unsigned slot, uint64_t cookies[HS_PATHS_MAX]);
/* Whether the slot had this socket, also when it was set aside. */
bool paths_had(const struct paths *paths, unsigned slot, uint64_t cookie);
/* Whether some slot's socket lives, and at which paths; each once. The texts are the table's. */
unsigned paths_live(const struct paths *paths, const char *live[HS_PATHS_MAX]);
/* The first path at which the slot has a live socket that gets connections; NULL = none. */
const char *paths_first(const struct paths *paths, unsigned slot);
/* The first path at which `other` has a live socket and `slot` has none; NULL = none. */
const char *paths_missing(const struct paths *paths, unsigned slot, unsigned other);

/* Connections of the slot that wait for accept(), also of sockets that were set aside. -errno: not
 * all could be asked, so it is not known whether there are more. */
int paths_queued(const struct paths *paths, unsigned slot, uint32_t *ret_queued);
/* The same by socket, of those on which somebody waits and that get connections: see
 * unixdiag_waiting(). Returns how many; the caller ends their lines. */
unsigned paths_waiting(const struct paths *paths, unsigned slot,
		       struct path_queue ret_queues[HS_PATHS_MAX]);
/*
 * Those that were accepted and are open. Where it takes too long to count them, as somebody on the
 * machine has very many sockets, or they were counted just before, for whatever service, these are
 * the last counts, and 1 for 0: nobody is known to have none but a slot that could not accept any
 * when they were counted.
 */
void paths_connections(const struct paths *paths, uint64_t counts[HS_SLOTS_MAX]);
/* The same for who only shows them, or is misled by a number that changes while nothing does: 0 is
 * 0 for some seconds after they were counted. */
void paths_connections_lately(const struct paths *paths, uint64_t counts[HS_SLOTS_MAX]);
