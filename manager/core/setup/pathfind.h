/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a server will listen by AF_UNIX, told from what it is started with: a guess, for `hsctl
 * enable`, which says what it has found. Pure.
 */
#pragma once

#include <stdbool.h>

#include "hs_abi.h"
#include "util/problem.h"

struct pathlist {
	unsigned n;
	char paths[HS_PATHS_MAX][HS_PATH_MAX];
};

/* Adds a path, once; one that is none, or for which there is no room, is passed over. */
void pathlist_add(struct pathlist *list, const char *path);
/* The value of --path=, with commas between. -EINVAL with a sentence. */
int pathlist_split(const char *text, struct pathlist *list, struct problem *problem);
bool pathlist_has(const struct pathlist *list, const char *path);

/* The paths of sockets in a command line of a unit: behind "unix:", or with a name that ends in
 * ".sock" or ".socket". `service`: what %p stands for; %t is /run. One with another specifier or a
 * variable is passed over, and so is one with the slot's number in it. */
void pathfind_command(struct pathlist *list, const char *line, const char *service);

/* The same in a server's configuration, in lines that begin with a word for it: listen, bind,
 * socket. */
void pathfind_config(struct pathlist *list, const char *text);

/* The files that a command line names, for looking into them: absolute paths. Calls `each` with
 * every one. */
void pathfind_files(const char *line, void (*each)(const char *path, void *userdata),
		    void *userdata);
/* The patterns (glob(7)) of more files that a configuration includes: "include=...". */
void pathfind_includes(const char *text, void (*each)(const char *pattern, void *userdata),
		       void *userdata);
