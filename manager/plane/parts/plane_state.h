/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a plane is made of: for plane/plane.c, which opens and makes its pins, and
 * plane/parts/plane_listeners.c, which keeps its listeners. Users include plane/plane.h. */
#pragma once

#include "core/config/config.h"
#include "core/name.h"
#include "plane/bpf/flows.h"
#include "plane/bpf/pins.h"
#include "plane/parts/listener.h"
#include "plane/path/paths.h"

struct accounting;
struct plane;

struct plane {
	char service[SERVICE_NAME_MAX];
	struct pin_path folder;
	struct accounting *accounting; /* not owned, may be NULL */
	struct hs_control *control;    /* mapped */
	int control_fd, counters_fd, events_fd, preview_fd, prefixes_fd;
	/* see plane/parts/table.h; -1, and no table: it has none */
	int tables_fd, pinned_fd;
	struct hs_table *table; /* mapped */
	/* see plane/parts/trace.h; -1: it cannot be traced */
	int trace_rings_fd, trace_terms_fd;
	struct flows flows;
	struct paths paths;
	struct plane_front *front; /* see plane/plane_front.h; NULL: its slots are instances */
	struct ledger *ledger;	   /* mapped; NULL: there is none */
	unsigned flow_max; /* room of the table, should this process be the one to make it */
	struct listener *listeners[CONFIG_LISTENERS_MAX];
	size_t n_listeners;
	char *cgroups[HS_SLOTS_MAX]; /* of the slots' units; NULL = none */
	struct ring_buffer *ring;
	void (*on_event)(const struct hs_event *event, void *userdata);
	void *userdata;
};

/* The map "room", mapped: the caller unmaps it. -ENOENT: what is pinned is of a release without. */
int plane_open_room(const struct plane *plane, struct hs_room **ret_room);
