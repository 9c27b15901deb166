/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waking a server for connections that the kernel has moved to it. Kernels with CVE-2026-46015 put
 * them into its queue and let it sleep until the next one arrives; whether this kernel is one of
 * them tells ABILITY_WAKEUP. Where it is not needed it does no harm.
 */
#pragma once

#include "plane/plane.h"

/*
 * Wakes whoever sleeps on this listening TCP socket, in poll(2), epoll_wait(2) or accept(2), to
 * look into its queue. shutdown(SHUT_WR) does that and nothing else: a listener has no direction to
 * send into, and stays what it is; a sleeper who finds the queue empty sleeps on and is told
 * nothing. Kernel: inet_shutdown(), sock_def_wakeup(). -errno of shutdown(2).
 */
int nudge_socket(int socket_fd);

/* That for each listening socket with a queue that the processes of this cgroup hold and that
 * belongs to the service. Returns how many, or -errno. */
int nudge(struct plane *plane, const char *cgroup);
/* Also those without a queue: who serves wakes up, looks, and sleeps on. */
int nudge_all(struct plane *plane, const char *cgroup);
