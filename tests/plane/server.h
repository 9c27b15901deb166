/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Servers of the rig: child processes that do as they are told, one order at a time. Each has a
 * name, 'A' for slot 0 and so on, and answers every byte that it reads with its name.
 *
 * On a UDP address it answers every datagram, but for those that begin with 'Q'.
 *
 * A server that does not serve neither accepts nor reads: connections wait in the kernel. Whether
 * it serves or not, it has its listening sockets in an epoll and writes down what it sees there.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "core/address.h"
#include "rig.h"

#define SERVER_TEXT_MAX 256

enum server_flag {
	SERVER_NO_REUSEPORT = 1 << 0,
	SERVER_MPTCP = 1 << 1,
	SERVER_BIND_ONLY = 1 << 2,     /* does not listen */
	SERVER_SMALL_BACKLOG = 1 << 3, /* 8 instead of 4096 */
	SERVER_FAST_OPEN = 1 << 4,
	SERVER_LATE_REUSEPORT = 1 << 5, /* sets the option when it listens already */
	SERVER_NO_REUSEADDR = 1 << 6,
};

struct server {
	pid_t pid;   /* 0 once it has ended */
	int control; /* socket for orders */
	char name;
	unsigned slot;
	char cgroup[96]; /* from the cgroup2 mount on */
};

/* What a server has seen of its listening sockets, and how many connections it has open. */
struct server_state {
	unsigned hang_ups;	/* EPOLLHUP, EPOLLERR */
	unsigned accept_errors; /* accept() failed, other than for want of a connection */
	unsigned open;
};

/* Starts the server of a slot in a cgroup of its own below the rig's. */
struct server *server_start(struct rig *rig, unsigned slot);
/* The same with a socket that it inherits, which becomes its socket 0. */
struct server *server_start_holding(struct rig *rig, unsigned slot, int socket_fd);
void server_free(struct server *server);
/* The same before the rig ends, which forgets it. */
void server_drop(struct rig *rig, struct server *server);
/* kill -9; the process is gone when this returns. Again is no harm. */
void server_kill(struct server *server);

/* Opens a listening socket, or a bound one for UDP, and returns its number in this server, the
 * lowest free one, or -errno.
 */
int server_listen(struct server *server, const struct address *address, unsigned flags);
void server_close(struct server *server, int number);
void server_shutdown(struct server *server, int number);

void server_serve(struct server *server, bool serve);
/* A server that hangs does not even look at its listening sockets; it obeys orders, though. */
void server_hang(struct server *server, bool hang);
/* Accepts all connections and reads all datagrams that wait, and returns how many it was. `text`
 * (SERVER_TEXT_MAX, or NULL) gets the first byte that each had sent, in the order of acceptance;
 * '-' for none. */
unsigned server_accept(struct server *server, char *text);
/* Reads so many bytes at most from each connection. Returns how many it was in all. */
int server_read(struct server *server, int most);
/* Closes all connections; with a RST if `reset`. */
void server_hang_up(struct server *server, bool reset);
struct server_state server_state(struct server *server);

/* From now on its sockets belong to this user. */
void server_become(struct server *server, uid_t uid);
/* From now on it is in the network namespace of `with`, or in a new one (NULL). */
void server_isolate(struct server *server, const struct server *with);
/* Sets SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF (of no program at all) or
 * SO_DETACH_REUSEPORT_BPF on its socket 0. 0 or -errno. */
int server_take(struct server *server, int option);
/* From now on a thread of the server blocks in accept() on this socket, and serves what it gets. */
void server_block(struct server *server, int number);
/* Forks: a second process holds all sockets, too, and does nothing. Returns its pid. */
pid_t server_fork(struct server *server);
