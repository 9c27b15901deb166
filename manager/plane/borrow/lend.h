/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What needs more privileges than the manager has: looking into the processes of instances, taking
 * a duplicate of a socket of theirs, giving a socket another owner, making one in another network
 * namespace. Done right here, by whoever may: hs-borrow for hsd, a command of root's for itself.
 *
 * Everybody else asks by plane/borrow/borrow.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "plane/kernel/netns.h"

/* How many processes there are is the instance's choice: one that has more is not looked through
 * (-E2BIG). So with descriptors, see plane/kernel/descriptors.h. */
#define LEND_PROCESSES_MAX 65536

/* Instances that live in more than this are not servers of ours. */
#define LEND_NAMESPACES_MAX 8

/* A socket in a process: its inode, and one process that has it under this number. */
struct lent_place {
	uint32_t inode;
	pid_t pid;
	int fd;
};

/* Which of these sockets (`inodes`, ascending) processes in the cgroup hold, each once. The caller
 * frees. */
int lend_find(const char *cgroup, const uint32_t *inodes, size_t n, struct lent_place **ret_places,
	      size_t *ret_n);

/* What a socket must be to be the one that is meant. */
struct lent_socket {
	struct lent_place place;
	uint64_t cookie;
};
/* A duplicate of it. -ESTALE when the process has closed it or ended: the number may name something
 * else by now. */
int lend_socket(const struct lent_socket *socket, int *ret_fd);
/* The same by a pidfd: who asks has looked at the process meanwhile. */
int lend_socket_by(int pidfd, const struct lent_socket *socket, int *ret_fd);

/* The namespaces that processes in the cgroup are in, other than our own; the caller closes them.
 * `ret_blind`: 0, or why one could not be told. */
int lend_namespaces(const char *cgroup, struct netns ret_namespaces[LEND_NAMESPACES_MAX],
		    size_t *ret_n, int *ret_blind);

struct lent_kind {
	int domain, type, protocol;
};
/* A socket of this kind in that namespace. */
int lend_open(const struct netns *netns, const struct lent_kind *kind, int *ret_fd);

/* Gives the socket to that user. -ENOTSOCK. */
int lend_give(int fd, uid_t uid);

/* A child that PID 1 has made for the unit and that has not begun to run its program: it may still
 * hold all that PID 1 has, and neither that nor what it runs is the unit's. */
bool lend_is_manager(pid_t pid);
/*
 * The file, for O_PATH, that a slot has for one of the service's public paths (core/path.h): a
 * socket. The folder it is in is the instance's, which puts there what it likes: no link is
 * followed, and nothing leads out of the slot's folder. -ENOTSOCK: it is something else.
 */
int lend_path(const char *service, unsigned slot, const char *path, int *ret_fd);
/* A connection to that very file, of streams, whoever may connect to it otherwise. -ECONNREFUSED:
 * nobody listens there; -EAGAIN: its queue is full. */
int lend_reach(const char *service, unsigned slot, const char *path, int *ret_fd);

/* golang_made(). -EAGAIN: it does not run its program yet. */
int lend_go(pid_t pid);

/* Whether there is a BPF program with this id: 1, 0. */
int lend_program(uint32_t id);
