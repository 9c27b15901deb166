/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a service's public paths lead where they have to: each is a link to the one that
 * plane/path/activelink.h keeps. */
#pragma once

#include <stdbool.h>

#include "core/path.h"
#include "plane/plane.h"

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
