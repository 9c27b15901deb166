/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network namespaces: an instance may live in another one than the manager. A listener belongs to
 * the namespace of its socket, and what is asked of the kernel about it is asked from inside.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* One namespace: {-1, 0} is the manager's own. */
struct netns {
	int fd;
	uint32_t inode; /* as lsns(8) shows it */
};

#define NETNS_OWN ((struct netns) {-1, 0})

/* That of the caller; 0 when it cannot be told. */
uint32_t netns_own_inode(void);
/* The namespace of a process, {-1, 0} when it is ours. The caller closes `fd`. */
int netns_of_process(pid_t pid, struct netns *ret_netns);
/* Its inode alone: 0 when it is ours. */
int netns_inode_of_process(pid_t pid, uint32_t *ret_inode);
/* The namespace of a socket, likewise (SIOCGSKNS; needs CAP_NET_ADMIN there). */
int netns_of_socket(int socket_fd, struct netns *ret_netns);

/*
 * Runs `run` inside, and returns what it returned. For moments, by a process of one thread: all of
 * it is there meanwhile. Needs CAP_SYS_ADMIN, unless it is our own. Should the way back fail, the
 * process is aborted: it must not go on in the wrong place.
 */
int netns_run(const struct netns *netns, int (*run)(void *userdata), void *userdata);

/* A socket there: it stays there, wherever it is bound and connected from. As socket(2), or -errno
 * of netns_run(), or of what netns_use() has set. */
int netns_socket(const struct netns *netns, int domain, int type, int protocol);

/* How this process comes by a socket in another namespace when it may not go there itself; NULL =
 * it may. Returns the socket, or -errno. */
typedef int (*netns_opener)(const struct netns *netns, int domain, int type, int protocol);
void netns_use(netns_opener opener);

/*
 * Goes to the namespace of PID 1, for good: the manager's own is that one, and "own" has one
 * meaning only where all agree on it. systemd runs the hooks of a unit in the unit's network, also
 * those with full privileges. 0 also when it is there already, or may not even look (a test, a
 * user).
 */
int netns_join_init(void);
