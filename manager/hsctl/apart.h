/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hsctl does itself with the sockets of instances of which no service is taken up, in a
 * process of its own: who touches a socket whose other owner holds its lock waits for as long as
 * that owner likes, and not even SIGKILL ends the wait (system/work/work.h). That process is given
 * up instead.
 */
#pragma once

#include <stddef.h>

#include "util/problem.h"

typedef int (*apart_fn)(void *data);

/*
 * Calls `work` in a child with a copy of `data`, in which it may leave plain values: no pointers
 * and no descriptors. No connection of the caller's to a bus can be used there; what it prints
 * appears when it has ended. Returns what `work` returned.
 *
 * -ETIMEDOUT and a sentence with the name of the socket and the remedy (a clause, for behind
 * "...: "): it was given up; the instance may have to be restarted. `data` is as before then.
 */
int apart_run(apart_fn work, void *data, size_t size, struct problem *problem);

/* In `work`: what follows has nothing to do with a socket, and may take its time; until the next
 * socket is borrowed. */
void apart_pause(void);
