/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A handful of file changes that happen all or not at all. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/macro.h"
#include "util/problem.h"

#define FILECHANGES_MAX 24

struct filechange {
	char *path;
	char *text;   /* what the file is to hold; NULL = it is to go */
	char *rename; /* instead of `text`: the file is to get this path */
	char *before; /* what it held; NULL = it was not there, or is renamed */
	char *folder; /* the folder of the file, if this change made it */
	bool needed;  /* the file is not yet as it shall be */
	bool done;
};

struct filechanges {
	struct filechange items[FILECHANGES_MAX];
	size_t n;
};

void filechanges_done(struct filechanges *changes);

/* Each takes `path`, `text` and `to` over, also on failure, and takes NULL for "no memory". -EFBIG:
 * too many. With every error `problem` says which file and why. */

/* The file is to hold this text, mode 0644. */
int filechanges_write(struct filechanges *changes, char *path, char *text, struct problem *problem);
/* The file is to go, if it is there. */
int filechanges_remove(struct filechanges *changes, char *path, struct problem *problem);
/* The file is to get another name, replacing what has it. */
int filechanges_rename(struct filechanges *changes, char *path, char *to, struct problem *problem);

/* How many are needed and not yet made; how many are made. */
size_t filechanges_pending(const struct filechanges *changes);
size_t filechanges_made(const struct filechanges *changes);

/* Does them in order. A failure undoes those before it: then `problem` says what failed. */
int filechanges_apply(struct filechanges *changes, struct problem *problem);

/* Undoes what filechanges_apply() did, newest first. What cannot be undone is said in `problem`. */
int filechanges_undo(struct filechanges *changes, struct problem *problem);
