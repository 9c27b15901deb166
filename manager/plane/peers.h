/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients that a UDP server has a socket of its own for, as those of DTLS, OpenVPN and the like do:
 * bound to the address of the service and connected to one client each. The kernel prefers such a
 * socket, and the selector is not asked: the client stays with the instance as long as the socket,
 * whatever is active, and no flow is remembered.
 */
#pragma once

#include "plane/plane.h"

/* Each slot of a service is looked through no further than this. */
#define PEERS_MAX 10000

/*
 * Such sockets on the UDP ports of the service, by the control groups of its slots (see
 * plane_set_cgroup()). 1: counted; 0: it has no UDP address, all are 0; -errno: they could not be
 * listed.
 */
int plane_peers(const struct plane *plane, uint64_t peers[HS_SLOTS_MAX]);

/* What the old instance has to finish: connections, and clients of UDP, be it that they are
 * remembered or have a socket. What cannot be counted is left out. */
uint64_t plane_remaining(const struct plane *plane, unsigned slot);
