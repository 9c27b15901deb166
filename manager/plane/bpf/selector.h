/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The selector programs that we carry, one for TCP and one for UDP: loading the one that a listener
 * needs, with the maps it shares with others.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/problem.h"

/* The maps that all listeners of a service share, and the accounting's; each may be -1 where it
 * says so. */
struct selector_shared {
	int control_fd, counters_fd, events_fd, preview_fd, prefixes_fd;
	/* negative: the service cannot be spread (plane/parts/table.h) */
	int tables_fd, pinned_fd;
	int moved_fd; /* -1: connections are not counted */
	int marks_fd; /* -1: instances have no own way (plane/bpf/own.h) */
	int flows_fd; /* -1: no UDP listener yet */
	/* negative: it cannot be traced (plane/parts/trace.h) */
	int trace_rings_fd, trace_terms_fd;
	/* not maps: the listener's, as in its address; what names it in a trace */
	uint32_t netns, trace_listener;
};

/* Names the build of the program for this protocol. Never 0. */
uint64_t selector_build(bool udp);

/* Loads a selector and pins it with its own maps in `folder`, which is made. */
int selector_create(const char *folder, bool udp, const struct selector_shared *shared,
		    struct problem *problem);
/* Loads one more with the maps that are in `folder`, pinned nowhere. */
int selector_copy(const char *folder, bool udp, const struct selector_shared *shared, int *ret_fd,
		  struct problem *problem);
/* The same, and pins it in the place of the one in `folder`. */
int selector_replace(const char *folder, bool udp, const struct selector_shared *shared,
		     int *ret_fd, struct problem *problem);
