/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Path listeners: AF_UNIX sockets that clients find by a path. Each slot binds a file of its own;
 * the public path is a link that leads through one link of the service's to that of the active
 * slot, so that one rename(2) flips all paths of a service:
 *
 *   /run/web/app.sock                       -> /run/hotstandby/web/active/run-web/app.sock
 *   /run/hotstandby/web/active              -> 0
 *   /run/hotstandby/web/0/run-web/app.sock  the socket of slot 0
 *
 * All of it but the folders "run-web" is root's. Those are what the instances see as /run/web, and
 * belong to whom that belongs to. Pure.
 */
#pragma once

#include <stdbool.h>

#include "core/name.h"
#include "hs_abi.h"
#include "util/problem.h"

#define PATH_ROOT   "/run/hotstandby"
#define PATH_ACTIVE "active"

/* A folder of a public path, with NAME and slot in front: twice as long at most. */
#define PATH_KEY_MAX (2 * HS_PATH_MAX)
#define PATH_FILE_MAX \
	(sizeof(PATH_ROOT) + SERVICE_NAME_MAX + sizeof(PATH_ACTIVE) + PATH_KEY_MAX + HS_PATH_MAX)

/* -EINVAL and what is wrong with it, a clause: not absolute, not plain, too long for a socket, or
 * in PATH_ROOT itself. */
int path_check(const char *path, struct problem *problem);

/* /var/run is an old name of /run, and a link: "/var/run/web/app.sock" becomes "/run/web/app.sock".
 */
void path_shorten(char *path);

/* What ListenStream= of a socket unit names, if it is a path that can be switched: not one with the
 * slot in it. */
bool path_from_listen(const char *value, char ret_path[HS_PATH_MAX]);

/* The folder of a public path, "/run/web", and its name there, "app.sock". The path is good. */
void path_folder(const char *path, char ret_folder[HS_PATH_MAX]);
const char *path_base(const char *path);
/* "/run/web/app.sock" -> "run-web": one name, different for different folders. */
void path_key(const char *path, char ret_key[PATH_KEY_MAX]);

/* /run/hotstandby/web/0/run-web/app.sock */
void path_of_slot(const char *service, unsigned slot, const char *path,
		  char ret_file[PATH_FILE_MAX]);
/* /run/hotstandby/web/active/run-web/app.sock: what the public path leads to. */
void path_of_active(const char *service, const char *path, char ret_file[PATH_FILE_MAX]);

/* Why no folder of each slot's can be put in the place of the one that the path is in, a sentence
 * without its end: others have their files there, or root runs what is there. NULL = it can. */
const char *path_shared_folder(const char *path);
