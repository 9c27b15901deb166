/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets of an instance, looked for with what is known of its service. */
#pragma once

#include "plane/borrow/scan.h"
#include "plane/plane.h"

/* Those on addresses that the service has. Others, of whom ever and however many, are not even
 * listed: who moves a queue has no time for them. As scan_cgroup(). */
int served_sockets(const struct plane *plane, const char *cgroup, struct held_socket **ret_held,
		   size_t *ret_n);

/* All of them, on whatever address, as scan_cgroup_among() finds them. */
int served_or_new_sockets(const struct plane *plane, const char *cgroup,
			  struct held_socket **ret_held, size_t *ret_n, int *ret_blind);

/* What the kernel lists of all on the machine: those of one namespace on addresses that the service
 * has. As diag_listening(). */
int served_listed(const struct plane *plane, const struct netns *netns, bool udp,
		  struct listening_socket **ret_sockets, size_t *ret_n);
