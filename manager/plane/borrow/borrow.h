/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asking for what plane/borrow/lend.h does. hs-borrow is asked, once borrow_use() has said so: over
 * a socket of it, one process for who asks, for as long as he has the connection. Without that it
 * is done right here, which takes the privileges for it.
 *
 * Every call waits for its answer, for ten seconds at most. So hsd itself asks nothing of this; its
 * processes for work do (system/work/work.h).
 */
#pragma once

#include "plane/borrow/lend.h"
#include "plane/borrow/outdated.h"
#include "plane/kernel/holder.h"

#define BORROW_SOCKET "/run/hs-borrow"

/* From now on hs-borrow is asked, in the name of this service, whose units alone it looks into;
 * NULL = nobody is. -ENOTCONN from any call below: it could not be reached. */
void borrow_use(const char *service);

int borrow_find(const char *cgroup, const uint32_t *inodes, size_t n,
		struct lent_place **ret_places, size_t *ret_n);
int borrow_socket(const struct lent_socket *socket, int *ret_fd);
int borrow_namespaces(const char *cgroup, struct netns ret_namespaces[LEND_NAMESPACES_MAX],
		      size_t *ret_n, int *ret_blind);
/* The inode of the namespace that any process is in; 0 = ours. */
int borrow_netns(pid_t pid, uint32_t *ret_inode);
/* lend_go() of any process. */
int borrow_go(pid_t pid);
int borrow_open(const struct netns *netns, const struct lent_kind *kind, int *ret_fd);
/* Asks nobody when the socket is that user's. */
int borrow_give(int fd, uid_t uid);
int borrow_program(uint32_t id);
/* `service` is the one that borrow_use() has named, if it was called. */
int borrow_path(const char *service, unsigned slot, const char *path, int *ret_fd);
int borrow_reach(const char *service, unsigned slot, const char *path, int *ret_fd);

/* All that holder_each() finds, at most HOLDERS_MAX. The caller frees. */
#define HOLDERS_MAX 4096
int borrow_holders(const uint32_t *inodes, size_t n, struct holder **ret_holders, size_t *ret_n);

/* outdated_look(); with hs-borrow the inotify descriptor goes along. */
int borrow_outdated(const char *cgroup, int inotify_fd, struct outdated_file **ret_files,
		    size_t *ret_n);
/* The same as one judgement. */
int borrow_judge_outdated(const char *cgroup, struct outdated *ret_outdated);
