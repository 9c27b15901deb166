/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is spoken between plane/borrow/borrow.c and hs-borrow, over a SOCK_SEQPACKET socket. Both
 * are of one build. */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "core/name.h"
#include "hs_abi.h"
#include "plane/borrow/lend.h"

enum borrow_what {
	BORROW_FIND,	   /* items: inodes. Answer: struct lent_place */
	BORROW_FD,	   /* Answer: the socket */
	BORROW_NAMESPACES, /* Answer: the namespaces, and why one could not be told */
	BORROW_NETNS,	   /* Answer: the inode of that of the process */
	BORROW_OPEN,	   /* the namespace comes along. Answer: the socket */
	BORROW_GIVE,	   /* the socket comes along */
	BORROW_PROGRAM,
	BORROW_HOLDERS,	 /* items: inodes. Answer: struct holder */
	BORROW_OUTDATED, /* an inotify descriptor comes along. Answer: struct outdated_file */
	BORROW_PATH,	 /* Answer: the file */
	BORROW_REACH,	 /* Answer: a connection to it */
	BORROW_GO,	 /* lend_go() of the process */
	BORROW_WHAT_COUNT
};

struct borrow_request {
	uint32_t what;
	uint32_t n; /* items that follow, in messages of their own */
	char service[SERVICE_NAME_MAX];
	char cgroup[PATH_MAX];
	struct lent_socket socket;
	struct lent_kind kind;
	uint32_t number; /* a user, a program, or a slot */
	char path[HS_PATH_MAX];
};

struct borrow_reply {
	int32_t result;
	int32_t blind;
	uint32_t number;
	uint32_t n; /* items that follow, likewise */
};

/* How long who asks waits for an answer, and when the process that would give it is ended: when
 * nobody waits any more. */
#define BORROW_PATIENCE_SECONDS 10
#define BORROW_DEADLINE_SECONDS (BORROW_PATIENCE_SECONDS + 2)

/* No more of them, in no larger messages. */
#define BORROW_ITEMS_MAX   1000000
#define BORROW_MESSAGE_MAX 65536

/* One message with up to LEND_NAMESPACES_MAX descriptors. `*n_fds`: room, then how many came.
 * Returns the size, 0 = the other end is closed, or -errno. */
int borrow_send(int socket, const void *data, size_t size, const int *fds, size_t n_fds);
long borrow_receive(int socket, void *data, size_t size, int *fds, size_t *n_fds);
/* Many of them. The caller frees. */
int borrow_send_items(int socket, const void *items, size_t size);
int borrow_receive_items(int socket, size_t size, void **ret_items);
