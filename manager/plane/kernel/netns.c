// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/kernel/netns.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "util/macro.h"

#define OWN "/proc/self/ns/net"

/* Takes the descriptor over. */
static int identify(int fd, struct netns *ret_netns)
{
	_cleanup_(close_fdp) int owned = fd;
	struct stat own, other;

	if (fstat(fd, &other) < 0 || stat(OWN, &own) < 0)
		return -errno;
	if (own.st_ino == other.st_ino)
		*ret_netns = NETNS_OWN;
	else
		*ret_netns = (struct netns) {steal_fd(&owned), (uint32_t)other.st_ino};
	return 0;
}

uint32_t netns_own_inode(void)
{
	struct stat own;

	return stat(OWN, &own) < 0 ? 0 : (uint32_t)own.st_ino;
}

int netns_of_process(pid_t pid, struct netns *ret_netns)
{
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : identify(fd, ret_netns);
}

int netns_inode_of_process(pid_t pid, uint32_t *ret_inode)
{
	struct netns netns;
	int r = netns_of_process(pid, &netns);

	if (r < 0)
		return r;
	close_fd(netns.fd);
	*ret_inode = netns.inode;
	return 0;
}

int netns_of_socket(int socket_fd, struct netns *ret_netns)
{
	int fd = ioctl(socket_fd, SIOCGSKNS);

	return fd < 0 ? -errno : identify(fd, ret_netns);
}

int netns_run(const struct netns *netns, int (*run)(void *userdata), void *userdata)
{
	_cleanup_(close_fdp) int back = -1;
	int r;

	if (!netns || netns->fd < 0)
		return run(userdata);
	back = open(OWN, O_RDONLY | O_CLOEXEC);
	if (back < 0 || setns(netns->fd, CLONE_NEWNET) < 0)
		return -errno;
	r = run(userdata);
	if (setns(back, CLONE_NEWNET) < 0)
		abort();
	return r;
}

static netns_opener how_to_open;

void netns_use(netns_opener opener)
{
	how_to_open = opener;
}

struct socket_wish {
	int domain, type, protocol;
};

static int make_socket(void *userdata)
{
	const struct socket_wish *wish = userdata;
	int fd = socket(wish->domain, wish->type, wish->protocol);

	return fd < 0 ? -errno : fd;
}

int netns_socket(const struct netns *netns, int domain, int type, int protocol)
{
	if (how_to_open && netns && netns->fd >= 0)
		return how_to_open(netns, domain, type, protocol);
	return netns_run(netns, make_socket, &(struct socket_wish) {domain, type, protocol});
}

int netns_join_init(void)
{
	struct netns netns;
	int r = netns_of_process(1, &netns);

	if (r < 0 || netns.fd < 0)
		return 0;
	r = setns(netns.fd, CLONE_NEWNET) < 0 ? -errno : 0;
	close_fd(netns.fd);
	return r;
}
