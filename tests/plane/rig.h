/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network namespace rig: what a test of the data plane stands in. Each test gets a network
 * namespace, a BPF file system on /sys/fs/bpf that only it sees, and a cgroup; so programs run side
 * by side, and all of it ends with them. Needs root.
 *
 * A helper that fails calls rig_on_failure, which does not return. Nothing here needs cmocka.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/address.h"
#include "plane/act/adopt.h"
#include "plane/bpf/accounting.h"
#include "plane/plane.h"
#include "util/clock.h"

#define RIG_SERVERS_MAX 24
/* Every wait ends after this long, and has failed then. */
#define RIG_DEADLINE_USEC UINT64_C(10000000)

struct server;

struct rig {
	char group[64];		       /* cgroup of this test, from the cgroup2 mount on */
	struct accounting *accounting; /* NULL until rig_planes() */
	struct plane *plane;	       /* of the service "web"; NULL until rig_planes() */
	struct server *servers[RIG_SERVERS_MAX];
	size_t n_servers;
	unsigned n_started; /* servers, ever */
};

/* What to do about a failure; prints and exits unless a test program has set it. */
extern void (*rig_on_failure)(const char *file, int line, const char *text);
void rig_fail(const char *file, int line, const char *template, ...)
	__attribute__((format(printf, 3, 4), noreturn));

#define rig_check(condition)                                                \
	do {                                                                \
		if (!(condition))                                           \
			rig_fail(__FILE__, __LINE__, "%s: %m", #condition); \
	} while (0)

/* Looks again and again until the condition holds; fails at the deadline. For what the kernel
 * changes without telling: counters, queues, states. */
#define rig_until(condition)                                                                      \
	do {                                                                                      \
		for (uint64_t end_ = now_usec() + RIG_DEADLINE_USEC; !(condition); rig_breathe()) \
			if (now_usec() > end_)                                                    \
				rig_fail(__FILE__, __LINE__, "in vain: %s", #condition);          \
	} while (0)
void rig_breathe(void);

/*
 * Runs `run` in a child and returns its exit status. The caller stays behind to remove cgroups,
 * whatever becomes of the child: returns, crashes, or is ended with us by a signal. 77 = not root.
 */
int rig_keep(int (*run)(void *userdata), void *userdata);

/* New namespaces, file system and cgroup for this process; below rig_keep() only. */
struct rig *rig_begin(void);
/* Ends the servers, closes everything, takes the cgroup away. Takes NULL. */
void rig_end(struct rig *rig);

/* Opens accounting, and the plane of the service "web". */
void rig_planes(struct rig *rig);

/* In the network namespace that we are in. */
void rig_loopback_up(void);

/* Writes below /proc/sys/, of this network namespace where it has its own. */
void rig_sysctl(const char *name, const char *value);

/* 127.0.0.1 and ::1 with this port; 0.0.0.0; [::] for both families; [::] for IPv6 only. */
struct address rig_local(uint16_t port);
struct address rig_local6(uint16_t port);
struct address rig_any(uint16_t port);
struct address rig_dual(uint16_t port);
struct address rig_only6(uint16_t port);

/* Adopts what the server listens on into its slot. rig_try_adopt() leaves judging the outcome to
 * the caller, who frees it; rig_adopt() wants every socket adopted and returns how many are new. */
struct adoption *rig_try_adopt(struct rig *rig, const struct server *server);
unsigned rig_adopt(struct rig *rig, const struct server *server);

/* Changes the word as switchover does, whatever it was. */
void rig_flip(struct rig *rig, unsigned slot);
void rig_policy(struct rig *rig, enum hs_policy policy);
void rig_canary(struct rig *rig, unsigned slot, uint32_t share);

/* Totals now. */
struct slot_totals rig_slot(const struct rig *rig, unsigned slot);
struct plane_totals rig_totals(const struct rig *rig);
uint32_t rig_queued(const struct rig *rig, unsigned slot);
