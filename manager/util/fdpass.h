/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages over UNIX sockets that carry file descriptors: SCM_RIGHTS in unix(7). */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* What Linux takes in one message (SCM_MAX_FD). */
#define FDPASS_MAX 253

/* Sends one message with copies of these descriptors; `n_fds` may be 0. `flags`: of send(2),
 * MSG_NOSIGNAL is always there. 0, or -errno; more than FDPASS_MAX are -E2BIG. */
int fdpass_send(int socket, const void *data, size_t size, const int *fds, size_t n_fds, int flags);

/* Receives one message. `*n_fds` (may be NULL: none is expected) is how many descriptors `fds` has
 * room for, and then how many came; they are close-on-exec and the caller's. What there is no room
 * for is closed. `flags`: of recv(2). Returns the number of bytes, 0 = the other end is closed, or
 * -errno. */
ssize_t fdpass_receive(int socket, void *data, size_t size, int *fds, size_t *n_fds, int flags);
