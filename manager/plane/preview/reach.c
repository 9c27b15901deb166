// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/preview/reach.h"

#include <netinet/in.h>
#include <string.h>

#include "util/macro.h"

static const uint8_t any_ip[16];

socklen_t reach_size(const struct sockaddr_storage *dest)
{
	return dest->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					   : sizeof(struct sockaddr_in);
}

/* A wildcard stands for this host. `ipv4`: also to a socket of both families. */
static void set_dest(struct sockaddr_storage *dest, const struct address *address, bool ipv4)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)dest;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)dest;
	bool any = !memcmp(address->ip, any_ip, sizeof(any_ip));

	memset(dest, 0, sizeof(*dest));
	if (ipv4) {
		*v4 = (struct sockaddr_in) {.sin_family = AF_INET,
					    .sin_port = htons(address->port),
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		if (!any)
			memcpy(&v4->sin_addr, address->ip, sizeof(v4->sin_addr));
		return;
	}
	*v6 = (struct sockaddr_in6) {.sin6_family = AF_INET6,
				     .sin6_port = htons(address->port),
				     .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	if (!any)
		memcpy(&v6->sin6_addr, address->ip, sizeof(v6->sin6_addr));
}

static int direct(struct plane *plane, const struct preview_wish *wish, struct reach *reach)
{
	_cleanup_(close_fdp) int fd = netns_socket(wish->netns, reach->dest.ss_family,
						   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return fd;
	r = preview_direct(plane, wish, fd, (struct sockaddr *)&reach->dest, &reach->key);
	if (r < 0)
		return r;
	reach->fd = steal_fd(&fd);
	return 0;
}

int reach_open(struct plane *plane, const struct listener *listener,
	       const struct preview_wish *wish, struct reach *ret_reach)
{
	const struct address *address = &listener->address;
	bool dual = address->family == AF_INET6 && !address->v6only &&
		    !memcmp(address->ip, any_ip, sizeof(any_ip));
	struct preview_wish here = *wish;
	int r;

	if (address->netns && listener->netns.fd < 0)
		return -ENOTCONN;
	here.netns = &listener->netns;
	set_dest(&ret_reach->dest, address, address->family == AF_INET);
	r = direct(plane, &here, ret_reach);
	/* a machine without an IPv6 address of its own has such sockets, too */
	if (!dual || (r != -EADDRNOTAVAIL && r != -ENETUNREACH && r != -EAFNOSUPPORT))
		return r;
	set_dest(&ret_reach->dest, address, true);
	return direct(plane, &here, ret_reach);
}
