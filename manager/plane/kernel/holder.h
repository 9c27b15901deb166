/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes hold a socket, whoever they are. Reads all of /proc: for the rare cases. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/name.h"

struct holder {
	uint32_t inode; /* of the socket */
	pid_t pid;	/* the process, */
	int fd;		/* and the socket's number there */
	/* as the process chose it, but printable ASCII, as the unit is */
	char comm[16];
	char unit[UNIT_NAME_MAX]; /* that the process belongs to; "" = none */
};

/*
 * Calls `each` for every process that holds one of these sockets, once for each of them, lowest pid
 * first, until it returns non-zero, which is returned. Processes that end meanwhile are passed
 * over, and so are those that we may not look into.
 */
int holder_each(const uint32_t *inodes, size_t n,
		int (*each)(const struct holder *holder, void *userdata), void *userdata);

/* Sets `comm` of the process `pid`; "" = it has ended. */
void holder_read_comm(struct holder *holder);

/* The unit in a cgroup's path: "/system.slice/app-0.service/worker" -> "app-0.service". "" = none.
 */
void holder_unit(const char *cgroup, char unit[UNIT_NAME_MAX]);
