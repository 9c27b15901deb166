/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel tells about TCP and UDP sockets of a network namespace through sock_diag
 * (sock_diag(7)). Nothing is borrowed or held. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/address.h"
#include "hs_abi.h"
#include "plane/kernel/diag_filter.h"
#include "plane/kernel/netns.h"

struct mnl_socket;

/* A socket to ask a namespace by (NULL = our own), wherever it is used then; closed by
 * mnl_socket_close(). NULL and errno. */
struct mnl_socket *diag_open(const struct netns *netns);

/* A TCP socket that listens, or a UDP socket that is bound and not connected. */
struct listening_socket {
	struct address address;
	uint64_t cookie;
	uint64_t cgroup_id; /* of its creator; 0 when the kernel does not tell (before 5.8) */
	uint32_t inode;
	uint32_t uid;
	uint32_t queued;   /* connections that wait for accept(); UDP: bytes in the receive queue */
	uint32_t dropped;  /* UDP: datagrams for which there was no room; TCP: 0 */
	uint32_t backlog;  /* what listen() asked for, as cut by the kernel; UDP: 0 */
	struct hs_tag tag; /* of diag_listening_at() and TCP only; service_id 0 = no tag */
};

struct connection {
	struct address local, peer;
	uint64_t cookie;
	uint8_t state;	   /* TCP_ESTABLISHED, ... */
	struct hs_tag tag; /* service_id 0 = no tag */
	bool held;	   /* a process has it; else it waits for accept(), or was closed */
	uint32_t inode;	   /* by which that process is found; 0 = not held */
	bool timed;	   /* the next two are known: diag_connections() does not tell them */
	/* since data was last received, and sent; else since it was established */
	uint32_t received_ms, sent_ms;
	uint64_t cgroup_id; /* of its creator; 0 when the kernel does not tell */
	/* NULL: it is none, or that was not looked for; see plane/fast/fast_times.h */
	const struct hs_fast_pair *pair;
};

/* Whether it waits for accept(). One that was closed by its process is held by none either, but is
 * in another state then. */
bool connection_waits(const struct connection *connection);

/* "10.0.0.1:80 for the client 10.0.0.2:40000" */
#define CONNECTION_TEXT_MAX (2 * ADDRESS_TEXT_MAX + 24)
const char *connection_describe(const struct connection *connection,
				char text[CONNECTION_TEXT_MAX]);

/* What waits for accept() on one listening socket. */
struct queue_length {
	uint64_t cookie;
	uint32_t queued;
};

/* How many sockets there are on a machine is any user's choice: what goes beyond is not listed, and
 * who wanted all of them asks for those that matter. Of those it is as many as one process may have
 * descriptors. */
#define DIAG_LISTENING_MAX 16384
#define DIAG_WANTED_MAX	   1000000

/* All of them in a namespace (NULL = our own), v4 and v6; of UDP only with `udp`. The caller frees
 * the array. -EOVERFLOW: there are more than DIAG_LISTENING_MAX. */
int diag_listening(const struct netns *netns, bool udp, struct listening_socket **ret_sockets,
		   size_t *ret_n);

/* Those among them that are wanted; the kernel passes the others by. Where thousands of addresses
 * are wanted others come along. The next as well: -EOVERFLOW when there are more than
 * DIAG_WANTED_MAX. */
int diag_listening_wanted(const struct netns *netns, bool udp, const struct diag_wanted *wanted,
			  struct listening_socket **ret_sockets, size_t *ret_n);

/* Those on this port, of TCP (with their tags) or of UDP. The caller frees the array. */
int diag_listening_at(const struct netns *netns, bool udp, uint16_t port, int tags_fd,
		      struct listening_socket **ret_sockets, size_t *ret_n);

/* Those of TCP with these cookies. The kernel cannot tell them apart: all of them are looked at,
 * however many there are, and none of the others is kept. */
int diag_listening_by_cookie(const struct netns *netns, const uint64_t *cookies, size_t n_cookies,
			     struct listening_socket **ret_sockets, size_t *ret_n);

/* The TCP queues of listening sockets in a namespace, by cookie, ascending; nothing else of
 * them, for this is asked often. The caller frees the array. */
int diag_queues(const struct netns *netns, const struct diag_wanted *wanted,
		struct queue_length **ret_queues, size_t *ret_n);
/* 0 also when there is no such socket. */
uint32_t diag_queue_of(const struct queue_length *queues, size_t n, uint64_t cookie);

/*
 * Calls `each` for every TCP connection with this local port (host byte order), with its tag when
 * `tags_fd` >= 0. Until it returns non-zero, which is returned.
 *
 * No socket is locked, so struct tcp_info is not asked for: the kernel fills it under the lock of
 * each connection, which its owner may hold for as long as it likes (tcp_get_info()).
 */
int diag_connections(const struct netns *netns, uint16_t port, int tags_fd,
		     int (*each)(const struct connection *connection, void *userdata),
		     void *userdata);

/* The same for every UDP socket with this local port that is connected to one peer. */
int diag_connected(const struct netns *netns, uint16_t port,
		   int (*each)(const struct connection *connection, void *userdata),
		   void *userdata);

/* Ends a connection as its peer would by a reset: both sides see an error (SOCK_DESTROY, needs
 * CAP_NET_ADMIN). Takes its lock: not for a process that must not wait for its owner. 0 also when
 * it is gone already; -EOPNOTSUPP: this kernel was built without it. */
int diag_destroy(const struct netns *netns, const struct connection *connection);
