/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A socket that was bound without SO_REUSEPORT can still come into a group, while it serves: the
 * option is set on it, and then a second socket with the option joins it. The kernel looks at the
 * options as they are when one joins, and makes the group of both (reuseport_add_sock()).
 */
#pragma once

/*
 * Brings the bound socket (TCP: listening), borrowed from an instance, into a group. The helper
 * that did it is the caller's, and gets a share of the new flows until the selector sends them
 * elsewhere: put the instance's socket into the map, then close the helper; what waits on it moves
 * along. On failure the socket is as it was.
 */
int late_join(int socket_fd, int *ret_helper_fd);
