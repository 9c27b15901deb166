/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The link below PATH_ROOT by which all public paths of a service lead to one slot (core/path.h).
 * It follows the routing word, whoever changes that; who finds it behind, because somebody ended
 * between the two, puts it right. It is state on disk: no process has to run for it.
 */
#pragma once

#include <stdbool.h>

#include "core/path.h"
#include "plane/plane.h"

/* The slot that the link of this service names. -ENOENT: there is no link; -EINVAL: it is none of
 * ours. */
int pathlink_read(const char *service, unsigned *ret_slot);

/* Makes it name that slot, of a service without a routing word. */
int pathlink_point(const char *service, unsigned slot);

/* Makes the link lead to the active slot, by one rename(2), unless it does already or the service
 * has no paths. Somebody else may change the word meanwhile: then it leads to where that one
 * wanted. */
int pathlink_follow(const struct plane *plane);

/* Whether what connects to the service's paths reaches the active slot. True without paths. */
bool pathlink_is_right(const struct plane *plane);

/* Of the folders of paths, by an inotify(7) descriptor of the caller's. */
struct pathlink_watches {
	int fd;
	uint32_t changes; /* of inotify_add_watch(2) */
	unsigned n;	  /* so many were added: */
	int watches[HS_PATHS_MAX];
};

/*
 * The first of the service's paths, at which a slot has a socket, that is not the link which leads
 * there; NULL = all are, as far as they can be looked at. With `watches` (else NULL) their folders
 * are watched from then on. Whoever owns such a folder may have this wait, as by a file system of
 * his own: it is nothing for a daemon's loop.
 */
const char *pathlink_find_wrong(const struct plane *plane, struct pathlink_watches *watches);
/* The first path, at which a slot has a socket, from whose folder nothing can be removed: it is
 * append-only (chattr(1)). NULL = none. Whether that is meant is not looked at. As slow as the
 * above. */
const char *pathlink_find_held(const struct plane *plane);
/* The sentence about a path that was found wrong, without its end. */
void pathlink_describe_wrong(const struct plane *plane, const char *path,
			     struct problem *ret_sentence);

/* Why clients do not reach the active slot, for people, as a sentence without its end; nothing is
 * set where they do. The public paths are not looked at. */
void pathlink_describe(const struct plane *plane, struct problem *ret_sentence);
