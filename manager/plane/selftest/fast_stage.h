/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fast path to try: the programs that are used, with maps of their own, pinned nowhere, for one
 * network namespace. They are attached to the root control group, and act on what is listened on
 * and connected to here. They go with this process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "plane/fast/fast.h"

#define FAST_STAGE_SERVICE 1
#define FAST_STAGE_CLIENT  1

#define FAST_STAGE_EVERYWHERE (1U << 31)

struct fast_bpf;

struct fast_stage {
	struct fast_bpf *skel;
	int cgroup, accept_link, connect_link, hold_link;
};

/* `without`: enum hs_fast_without, or FAST_STAGE_EVERYWHERE: also in other network namespaces than
 * the caller's. With an error there is a sentence; -EPERM and -EACCES say nothing about the kernel.
 */
int fast_stage_open(unsigned without, struct fast_stage *ret_stage, struct problem *problem);
void fast_stage_close(struct fast_stage *stage);

/* A listening socket of the service, on this port (0 = of the kernel's choice) at the loopback
 * address of this family; `ret_at` (sizeof(struct sockaddr_storage)) is where. Returns it, or
 * -errno. */
int fast_stage_listen(struct fast_stage *stage, int family, uint16_t port_wanted,
		      struct sockaddr_storage *ret_at);
/* Connects, and accepts. The caller closes both. -errno. */
int fast_stage_connect(const struct sockaddr_storage *at, int listener, int *ret_client,
		       int *ret_server);
/* The pair of this client's end. -ENOENT: it is none. */
int fast_stage_pair(const struct fast_stage *stage, int client, struct hs_fast_pair *ret_pair);
/* As fast_counts(), of all of its connections. */
struct hs_fast_counts fast_stage_counts(const struct fast_stage *stage);
/* Whether something that was sent by this side went the fast way. */
bool fast_stage_is_fast(const struct fast_stage *stage, int client, enum hs_fast_side side);
