/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work on the sockets and processes of instances, which are not trusted: who touches a socket whose
 * other owner holds its lock waits for as long as that owner likes, and not even SIGKILL ends the
 * wait. So such work is done by a process of its own, which can be given up.
 *
 * It is told what to do by an order, opens what is pinned for the service, does it, and leaves an
 * answer. Order and answer go through a file in memory; descriptors, what it is about to touch, and
 * the end through a socket. Traffic depends on none of it.
 *
 * work_host_new() makes, while the daemon is still small, the process that makes these processes.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config/config.h"
#include "core/name.h"
#include "core/outdated.h"
#include "plane/act/adopt.h"
#include "plane/act/foreign.h"
#include "util/problem.h"

enum work_kind {
	WORK_ADOPT, /* adoption_begin(), within `patience_usec` again as long as there is no socket;
		     * with `commit` also the second half, then twins */
	WORK_LOOK,  /* a mark of the set of sockets: it differs when the set does */
	WORK_BOUNCE, /* bounce() */
	WORK_READ,   /* waits until what cannot be moved has gone, at most `patience_usec` */
	WORK_NUDGE,  /* nudge(), nudge_all() with `all` */
	WORK_GIVE,   /* owners_give() for each of the cgroups, and to the descriptors given along;
		      * with `all` owners_give_park() */
	WORK_CLOSE,  /* owners_close_datagrams() */
	WORK_AWAKE, /* 1 = its processes wake when they are nudged, see service/failover/recovery.h;
		       else 0 */
	WORK_OCCUPIED, /* adopt_is_occupied() */
	WORK_NETNS,    /* borrow_netns() of `pid` */
	WORK_OPEN,     /* sockets in the namespace given along, of `domain`, ..., `n_sockets` */
	WORK_TWIN,    /* park_twin() of the park at `address` that is given along; park_spare() with
		       * `spare` */
	WORK_FOREIGN, /* foreign_find() */
	WORK_OUTDATED, /* borrow_outdated() for each of the cgroups, with the descriptor given
			* along: struct work_file */
	WORK_EARLY,    /* early_reach() */
	WORK_OUTSIDE,  /* outside_leave() of each of the cgroups, then plane_forget_outside() */
	WORK_SHED,     /* shed_sockets() */
	WORK_USER,     /* owner_find() of `user`: the number of it */
	WORK_RESET,    /* reset_connections() */
	WORK_DIFFER,   /* owners_differ() from `uid`: 1 or 0 */
	/* who made the listening sockets with these `cookies`, of the daemon's namespace and of
	 * those given along: an array of struct work_maker */
	WORK_MAKERS,
	/* pathlink_find_wrong() with the inotify descriptor given along, for `changes`: struct
	 * work_public */
	WORK_PUBLIC,
	WORK_GO,    /* borrow_go() of `pid`: 1 or 0 */
	WORK_REACH, /* borrow_reach() of the first path that the slot has a socket at */
	WORK_KIND_COUNT
};

#define WORK_COOKIES_MAX 256

struct work_maker {
	uint64_t cookie, cgroup_id; /* as struct listening_socket has them */
};

struct work_order {
	enum work_kind kind;
	unsigned slot;
	char service[SERVICE_NAME_MAX];
	bool counted; /* connections are: there is accounting */
	bool commit, twins, late, keep_in_map, all, activated, spare, settled;
	uid_t uid;
	char user[UNIT_NAME_MAX];
	pid_t pid;
	int domain, type, protocol;
	uint32_t changes;
	unsigned n_sockets;
	struct address address;
	uint64_t patience_usec;
	size_t n_cookies;
	uint64_t cookies[WORK_COOKIES_MAX];
	struct config config;
	unsigned n_cgroups; /* one for what is done in one slot */
	const char (*cgroups)[PATH_MAX];
};

/* A file that the processes in the cgroup of that place run. */
struct work_file {
	unsigned place;
	struct outdated_file file;
};

struct work_public {
	char wrong[HS_PATH_MAX]; /* "" = none */
	char held[HS_PATH_MAX];	 /* see pathlink_find_held(); "" = none */
	unsigned n_watches;
	int watches[HS_PATHS_MAX];
};

/* What is done about it, and can be told to people: "adopt its sockets". */
const char *work_kind_describe(enum work_kind kind);
/* Whether the process may come to wait for the owner of a socket. */
bool work_kind_locks(enum work_kind kind);

#define WORK_FDS_MAX 4096

struct work_answer {
	int result;
	struct problem problem;
	void *data; /* what the kind says */
	size_t size;
	int *fds;
	size_t n_fds;
};

/* Frees what is in it, and closes the descriptors that were not taken (-1). */
void work_answer_done(struct work_answer *answer);

/* The answer to WORK_ADOPT. The descriptors go along. NULL when it is not one. */
struct adoption *work_take_adoption(struct work_answer *answer);

/* ---- the messages of the socket between who asks and who does it ---- */

#define WORK_BEGUN	 'B' /* a pidfd of the process comes along */
#define WORK_STEP	 'S' /* a text follows: what is touched next */
#define WORK_FDS	 'F' /* descriptors come along */
#define WORK_DONE	 'D' /* the answer is in the file */
#define WORK_MESSAGE_MAX 512
#define WORK_FDS_AT_ONCE 128

/* Writes an order to a new file in memory; reads an answer from it. */
int work_write_order(const struct work_order *order, int *ret_file);
int work_read_answer(int file, struct work_answer *answer);

/* ---- the host ---- */

/*
 * Forks it. To be called while nothing is open that must not be held by a process that may never
 * end. It ends when the last copy of `*ret_fd` is closed; what was begun goes on to its end.
 * `borrows`: what needs more than it may is asked of hs-borrow (plane/borrow/borrow.h). `until`
 * (now_usec(), 0 = no such time): then nobody is there any more who would end what hangs, and it is
 * ended by itself, unless it waits for a lock in the kernel.
 */
int work_host_new(bool borrows, uint64_t until, int *ret_fd);
/* Has it begin. `fds`: the socket, the file, and what belongs to the order. -EAGAIN: it has more to
 * do than it can hold; later. */
int work_host_order(int host_fd, const int *fds, size_t n_fds);
