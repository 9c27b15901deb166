// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/probe/agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "util/macro.h"

static socklen_t fill(const struct front_address *host, uint16_t port,
		      struct sockaddr_storage *ret_address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;

	memset(ret_address, 0, sizeof(*ret_address));
	if (front_address_is_ipv4(host->ip)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, host->ip + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, host->ip, 16);
	return sizeof(*v6);
}

int agent_reach(const struct front_address *host, uint16_t port)
{
	struct sockaddr_storage address;
	socklen_t size = fill(host, port, &address);
	_cleanup_(close_fdp) int fd =
		socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, size) < 0 && errno != EINPROGRESS)
		return -errno;
	return steal_fd(&fd);
}
