/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard of the selector (bpf/select/guard.bpf.c), one for all services: nobody but us attaches
 * or detaches the program of a group on a service's port. Pinned beside the accounting; it works on
 * while no process of ours runs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/address.h"
#include "util/problem.h"

struct guard;

/* Opens what is pinned, or loads and pins it; the accounting's pins are there. Without it all goes
 * on, and whoever is in a group can take the selector off it. */
int guard_open(struct guard **ret_guard, struct problem *problem);
/* Opens what is pinned, of whatever build, in this folder of accounting. -ENOENT. */
int guard_attach(const char *folder, struct guard **ret_guard);
struct guard *guard_free(struct guard *guard);

/* From now on, for sockets on the address in the network namespace of the socket. */
int guard_port(const struct guard *guard, const struct address *address, int socket_fd,
	       uint32_t service_id);
/* The ports of a service are free again, but for those that another service has, too: they are its
 * from now on. Needs no guard to be open, as the next one does not. */
void guard_forget(uint32_t service_id);
/* The same of the port of one address, whose pins are gone; it stays where the service has another
 * address with it. */
void guard_forget_address(uint32_t service_id, const struct address *address);

/* For the sockets that are made in this cgroup, as systemd names it, and below: for as long as it
 * is there. Again is no harm. */
int guard_cgroup(const struct guard *guard, const char *cgroup);
/* 0 also where there was none. */
int guard_leave_cgroup(const struct guard *guard, const char *cgroup);
/* For everybody's sockets: where those of others can come into a group, and where a server has
 * sockets that systemd has made. Pinned; again is no harm. */
int guard_everywhere(const struct guard *guard);

/*
 * setsockopt(2) of one of the options that are guarded (level SOL_SOCKET), through our own or a
 * borrowed socket. 0 or -errno.
 */
int guard_pass(int socket_fd, int option, int value);
