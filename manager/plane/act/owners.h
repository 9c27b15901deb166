/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The owner uid of the sockets of a reuseport group. The kernel lets a socket into a group, at
 * bind(2) and at listen(2), only if its owner is that of all who listen there; fchown(2) changes
 * the owner, and a socket that is in a group stays in it whatever its owner. So slots with
 * different users get along when the group is given to the next one's user before that one binds.
 *
 * Kernel: inet_csk_bind_conflict(), inet_reuseport_add_sock().
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "plane/plane.h"

/* Whether a socket where the service listens has another owner than `uid`. Asks the kernel once for
 * each namespace, and nobody's processes. */
bool owners_differ(const struct plane *plane, uid_t uid);

/*
 * Gives all reuseport sockets that the processes in the cgroup have opened themselves, and that
 * stand where the service listens, to `uid`; those that were passed in stay with root, as systemd
 * will make the next one as root, too. Borrows each for a moment. Needs CAP_CHOWN. Returns how many
 * had another owner, or -errno.
 *
 * Of TCP they also get SO_REUSEADDR: without it the connections of one slot, which belong to that
 * slot's user, would keep the other slot from binding. Of UDP they lose it: see
 * owners_close_datagrams().
 */
int owners_give(struct plane *plane, const char *cgroup, uid_t uid);

/*
 * Takes SO_REUSEADDR off the UDP sockets of the processes in the cgroup where the service listens:
 * what was handed over by a release that gave it to all of them. With it a socket of any user may
 * bind the same address, and gets what comes. Returns how many had it, or -errno.
 */
int owners_close_datagrams(const struct plane *plane, const char *cgroup);

/* The same as owners_give() for one socket that the caller has. 0 = it is not shared, 1, or -errno.
 */
int owners_give_socket(int fd, uid_t uid);

/* As owners_give(), for the sockets of the park, whoever keeps them. */
int owners_give_park(struct plane *plane, uid_t uid);

/*
 * Whether two listening sockets on the listener's address are in one group: found out by attaching
 * another copy of the selector through the one, and looking whether attaching the selector through
 * the other has replaced it. All that is attached meanwhile decides alike. -errno.
 */
int owners_same_group(struct plane *plane, struct listener *listener, int one_fd, int other_fd);
