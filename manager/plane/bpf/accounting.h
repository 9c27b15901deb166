/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accounting, one for all services: the sock_ops program on the root cgroup, the tags of sockets,
 * and the ring of listen() calls. Pinned; it works on while no process of ours runs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hs_abi.h"
#include "util/problem.h"

struct accounting;
struct census;
struct guard;
struct motion;
struct own;
struct queues;

/*
 * Opens what is pinned, or loads, attaches and pins it; what the version before has pinned is taken
 * over. Failures are described in `problem`; a manager can go on without (no live counts, no news
 * of listen()), but for -ETXTBSY: see plane/bpf/handover.h.
 */
int accounting_open(struct accounting **ret_accounting, struct problem *problem);
/* Opens what is pinned, and makes nothing. -ENOENT when there is none. */
int accounting_attach(struct accounting **ret_accounting);
/* For who looks at things: opens what is pinned as it is, of whatever build, and that of the
 * version before where it is all that there is; so are guard and own way. Nothing is made, replaced
 * or taken over. -ENOENT, or -EACCES or -EPERM for who is not root. */
int accounting_look(struct accounting **ret_accounting);
struct accounting *accounting_free(struct accounting *accounting);
/* Detaches the program and removes the pins. */
int accounting_destroy(void);

/* If no service has pins any more, and no process uses it: the same, and HS_PIN_ROOT goes, too, so
 * that nothing of ours is left. */
void accounting_drop_unused(void);

/* Makes the counters of a service known under its id. -errno of the map update. */
int accounting_register(struct accounting *accounting, uint32_t service_id, int counters_fd);
void accounting_unregister(struct accounting *accounting, uint32_t service_id);

/* Tags a listening socket; connections established on it from now on are counted. */
int accounting_tag(struct accounting *accounting, int socket_fd, const struct hs_tag *tag);

/* Descriptors for others to use, owned by `accounting`. */
int accounting_tags_fd(const struct accounting *accounting);
int accounting_moved_fd(const struct accounting *accounting);
/* Where plane/plane_census.c keeps what it has loaded; freed with `accounting`. */
struct census **accounting_census(struct accounting *accounting);
/* The look at what moves, loaded when it is first asked for. NULL where the kernel refuses it. */
struct motion *accounting_motion(struct accounting *accounting);
/* The look at accept queues, for who looks often: to be loaded once. NULL before, and where the
 * kernel refuses it. */
void accounting_load_queues(struct accounting *accounting);
struct queues *accounting_queues(struct accounting *accounting);
/* The guard of the selector, opened or made when it is first asked for. NULL where the kernel
 * refuses it. */
struct guard *accounting_guard(struct accounting *accounting);
/* The instances' own way to themselves, likewise. */
struct own *accounting_own(struct accounting *accounting);

/* The slot that an established connection belongs to now: its tag, unless it has migrated since. */
unsigned accounting_slot_of(const struct accounting *accounting, uint64_t cookie,
			    const struct hs_tag *tag);

/*
 * News of sockets that began or ceased to listen: those of watched cgroups, on any port, and
 * everybody's on watched ports. The descriptor becomes readable; `accounting_listens_consume` then
 * calls `on_listen` for each record, for so many of them at the most: it is readable still when
 * there are more. What was waiting before the watch began is dropped: whoever watches looks at all
 * units first.
 */
#define ACCOUNTING_LISTENS_AT_ONCE 64
typedef void (*accounting_listen_fn)(const struct hs_listen *listen, void *userdata);
int accounting_listens_watch(struct accounting *accounting, accounting_listen_fn on_listen,
			     void *userdata, int *ret_fd);
int accounting_listens_consume(struct accounting *accounting);
/* How many were not told since the pins were made. When it grows, all units want to be looked at.
 */
int accounting_listens_lost(const struct accounting *accounting, uint64_t *ret_lost);

/* A port that a service listens on. For good: see hs_abi.h. */
int accounting_watch_port(struct accounting *accounting, uint16_t port);
/* A unit's cgroup and what is below it, as systemd names it: for as long as it is there. Again is
 * no harm. -ENOENT when there is none. */
int accounting_watch_cgroup(struct accounting *accounting, const char *cgroup);
/* 0 also where it was not watched. */
int accounting_unwatch_cgroup(struct accounting *accounting, const char *cgroup);
