/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hsctl exec: a cgroup whose processes reach one slot of a service on the service's own addresses;
 * of a front, one host, by the path that clients' packets take.
 *
 * The programs stay on the cgroup as long as that lives, whatever becomes of who attached them, and
 * take each rule away with its socket. What is left to do at the end is preview_sweep().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "plane/plane.h"

struct config_front;

struct exec_order {
	const char *cgroup; /* as systemd names it */
	unsigned slot;
	pid_t pid; /* the command, or who becomes it: its network namespace counts */
	const struct netns *netns;	  /* that, where it is known: then `pid` does not matter */
	const struct config_front *front; /* the settings of a front; of others not looked at */
};

/* Whether a command can be sent to a slot of `n_slots`: false, and why not, when there is no such
 * slot, or it has no live socket; a host of a front has to be in the settings. */
bool exec_may(const struct plane *plane, unsigned n_slots, unsigned slot,
	      struct problem *ret_refusal);

/*
 * Connections and datagrams to the ports that the service has listeners on now, by sockets that
 * processes in the cgroup make from now on, land on the slot. The caller has seen that the slot is
 * live, and closes `ret_counts_fd` (may be NULL), a map to be read with exec_counts().
 */
int exec_attach(struct plane *plane, const struct exec_order *order, int *ret_counts_fd,
		struct problem *problem);

/* What an owner has left, when it ends; or what all of the dead have. As preview_end() and
 * preview_sweep(); of a front as led_end() and led_sweep(). */
int exec_end(struct plane *plane, const struct hs_preview_owner_id *owner);
int exec_sweep(struct plane *plane);

/* Needs no privileges: the descriptor is enough. -errno of mmap(2). */
int exec_counts(int counts_fd, struct hs_exec_counts *ret_counts);

/* Whether a connection of it has come to the slot, or may have: what is still open is not counted
 * yet. */
bool exec_has_reached(const struct hs_exec_counts *counts);
/* What is to be told at the end: that there was no connection, or which connections did not reach
 * the slot. Empty when there is nothing to tell. */
void exec_describe(const char *service, unsigned slot, const struct hs_exec_counts *counts,
		   struct problem *ret_sentence);
