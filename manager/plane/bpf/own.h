/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The own way (bpf/cgroup/own.bpf.c), one for all services: what an instance sends to its service
 * over the loopback device reaches its own slot or nobody. Pinned beside the accounting; it works
 * on while no process of ours runs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/address.h"
#include "util/problem.h"

struct own;

/* Opens what is pinned, or loads and pins it; the accounting's pins are there. -EBUSY: another
 * process is making pins. Without it all goes on, and an instance that connects to its service
 * reaches the active slot. */
int own_open(struct own **ret_own, struct problem *problem);
/* Opens what is pinned, of whatever build, in this folder of accounting. -ENOENT. */
int own_attach(const char *folder, struct own **ret_own);
struct own *own_free(struct own *own);

/* The map "own-marks", for selectors. Stays the own's. */
int own_marks_fd(const struct own *own);
/* A rule of the service with this client port (network byte order) was removed by us. */
void own_unmark(struct own *own, uint32_t service_id, uint16_t source_port);

/* Makes a service's rules known. Again is no harm. */
int own_register(const struct own *own, uint32_t service_id, int rules_fd);
/* An address that the service listens on. For as long as it is registered. */
int own_add_address(const struct own *own, uint32_t service_id, const struct address *address);
/* All of a service is forgotten. Needs no own to be open. */
void own_forget(uint32_t service_id);

/* Whose cgroup it is. `on` false: what it sends goes where all others go. */
struct own_place {
	uint32_t service_id;
	unsigned slot;
	bool on;
};
/* Whether the kernel's program with this id is one of them. */
bool own_has_program(const struct own *own, uint32_t id);
/* For the sockets that are made in this cgroup, as systemd names it, and below: for as long as it
 * is there. Again is no harm. -ENOENT when there is none. */
int own_cgroup(const struct own *own, const char *cgroup, const struct own_place *place);
/* 0 also where there was none. */
int own_leave_cgroup(const struct own *own, const char *cgroup);
