// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/borrow/latejoin.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "plane/borrow/borrow.h"
#include "plane/kernel/netns.h"
#include "util/macro.h"

#define BACKLOG 4096

struct twin {
	struct lent_kind kind;
	int fd;
};

static int get(int fd, int level, int name, int *ret_value)
{
	socklen_t size = sizeof(*ret_value);

	return getsockopt(fd, level, name, ret_value, &size) < 0 ? -errno : 0;
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* A socket of the same kind in the same network namespace. */
static int make_twin(int fd, struct twin *twin)
{
	_cleanup_(close_fdp) int netns_fd = -1;
	struct netns netns = {.fd = -1};
	int r = get(fd, SOL_SOCKET, SO_DOMAIN, &twin->kind.domain);

	if (!r)
		r = get(fd, SOL_SOCKET, SO_TYPE, &twin->kind.type);
	if (!r)
		r = get(fd, SOL_SOCKET, SO_PROTOCOL, &twin->kind.protocol);
	if (!r)
		r = netns_of_socket(fd, &netns);
	netns_fd = netns.fd;
	return r ? r : borrow_open(&netns, &twin->kind, &twin->fd);
}

/* All that decides which group it comes to: owner, device, v6only; and that it may be bound where
 * the address has gone, or connections without SO_REUSEPORT remain. */
static int liken(int fd, const struct twin *twin)
{
	int device = 0, v6only = 0, r;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = borrow_give(twin->fd, st.st_uid);
	if (!r)
		r = get(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &device);
	if (!r && device)
		r = set(twin->fd, SOL_SOCKET, SO_BINDTOIFINDEX, device);
	if (!r && twin->kind.domain == AF_INET6)
		r = get(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only);
	if (!r && twin->kind.domain == AF_INET6)
		r = set(twin->fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only);
	if (!r)
		r = set(twin->fd, IPPROTO_IP, IP_FREEBIND, 1);
	/* of UDP it would let everybody in */
	if (!r && twin->kind.type == SOCK_STREAM)
		r = set(twin->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!r)
		r = set(twin->fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return r;
}

static int join(int fd, const struct twin *twin)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
	    bind(twin->fd, (struct sockaddr *)&address, size) < 0)
		return -errno;
	/* UDP joins as it binds */
	if (twin->kind.type == SOCK_STREAM && listen(twin->fd, BACKLOG) < 0)
		return -errno;
	return 0;
}

int late_join(int socket_fd, int *ret_helper_fd)
{
	_cleanup_(close_fdp) int helper = -1;
	struct twin twin = {.fd = -1};
	int r = make_twin(socket_fd, &twin);

	helper = twin.fd;
	if (!r)
		r = liken(socket_fd, &twin);
	if (!r)
		r = set(socket_fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (r < 0)
		return r;
	r = join(socket_fd, &twin);
	if (r < 0) {
		set(socket_fd, SOL_SOCKET, SO_REUSEPORT, 0);
		return r;
	}
	*ret_helper_fd = steal_fd(&helper);
	return 0;
}
