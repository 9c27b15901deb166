/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who asks sock_diag about AF_UNIX sockets waits for no socket: what the kernel takes for that are
 * spin locks (net/unix/diag.c). But before Linux 6.9 it answers one question at a time, of whatever
 * family (sock_diag_mutex), and one for the figures of a TCP connection waits for whoever holds the
 * lock of that, who may be anybody and may hold it for as long as he likes. Not even SIGKILL ends
 * the wait. So a daemon has another process ask there, and waits for that one as long as it can
 * afford.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct mnl_socket;

/* Whether this kernel is that old. There is no trying: nobody may be holding anything now. */
bool unixask_is_needed(void);

/* From now on questions of this process, and not of those that it forks, are asked by another one,
 * which ends with it. To be called while there is little open. Returns its number, or -errno: they
 * are asked by this one as before. */
pid_t unixask_begin(void);

/* Sends a request for sock_diag by this socket, on which the answer is then received without a
 * wait. -ETIME: somebody makes the kernel wait; as long as that is so the next ones fail at once.
 */
int unixask_send(const struct mnl_socket *socket, const void *request, size_t size);
