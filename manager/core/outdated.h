/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether processes run what is on the disk. A process keeps the very files that it has begun with:
 * a program or library that a package has replaced since is run in its old version until the
 * process is started anew. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTDATED_PATH_MAX 240
#define OUTDATED_TEXT_MAX (OUTDATED_PATH_MAX + 160)

/* One line of /proc/PID/maps, which is changed. NULL = it says nothing about what is run: it is not
 * executable, or no file that could be installed. Else the file's path within the line, and whether
 * that very file is not in its place any more. */
const char *outdated_mapping(char *line, bool *ret_gone);

/* A file that processes run. */
struct outdated_file {
	bool gone;	     /* it was replaced or removed since they began to */
	bool removed;	     /* there is nothing in its place now */
	int32_t watch;	     /* see outdated_look(); -1 = none */
	uint64_t since_usec; /* CLOCK_REALTIME: when what is in its place came there; 0 = not known
			      */
	char path[OUTDATED_PATH_MAX]; /* its end, if it is longer */
};

/* What a slot runs that is gone. */
struct outdated {
	unsigned files;		 /* how many; 0 = it is up to date */
	struct outdated_file of; /* the one that was replaced first */
};

/* Takes a file into account. */
void outdated_add(struct outdated *outdated, const struct outdated_file *file);

/* "it runs an old /usr/sbin/nginx, which was replaced on disk, and 2 other files" Returns `text`.
 */
const char *outdated_describe(const struct outdated *outdated, char text[OUTDATED_TEXT_MAX]);
