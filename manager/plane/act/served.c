// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/served.h"

static int scan(const struct plane *plane, const char *cgroup, bool known_only,
		struct held_socket **ret_held, size_t *ret_n, int *ret_blind)
{
	struct address addresses[PLANE_LISTENERS_MAX];
	struct scan_among among = {addresses, plane_addresses(plane, addresses), known_only};

	return scan_cgroup_among(cgroup, &among, ret_held, ret_n, ret_blind);
}

int served_sockets(const struct plane *plane, const char *cgroup, struct held_socket **ret_held,
		   size_t *ret_n)
{
	int blind;

	return scan(plane, cgroup, true, ret_held, ret_n, &blind);
}

int served_or_new_sockets(const struct plane *plane, const char *cgroup,
			  struct held_socket **ret_held, size_t *ret_n, int *ret_blind)
{
	return scan(plane, cgroup, false, ret_held, ret_n, ret_blind);
}

int served_listed(const struct plane *plane, const struct netns *netns, bool udp,
		  struct listening_socket **ret_sockets, size_t *ret_n)
{
	struct address addresses[PLANE_LISTENERS_MAX];
	struct diag_wanted wanted = {.addresses = addresses,
				     .n_addresses = plane_addresses(plane, addresses)};

	return diag_listening_wanted(netns, udp, &wanted, ret_sockets, ret_n);
}
