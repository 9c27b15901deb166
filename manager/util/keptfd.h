/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A descriptor that a process keeps for its whole life. After fork(2) its number means nothing: who
 * works in a child has closed all that it inherited, and what it opens then gets these numbers.
 */
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include "util/macro.h"

struct kept_fd {
	int fd;
	pid_t pid; /* whose it is; 0 = nobody's */
};

/* -1 where this process keeps none. Still `kept`'s. */
static inline int kept_fd_get(const struct kept_fd *kept)
{
	return kept->pid == getpid() ? kept->fd : -1;
}

/* Closes what was kept before, and keeps `fd`, which may be -1. Returns it. */
static inline int kept_fd_set(struct kept_fd *kept, int fd)
{
	close_fd(kept_fd_get(kept));
	*kept = (struct kept_fd) {.fd = fd, .pid = getpid()};
	return fd;
}
