/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a plane is made of: for plane/plane.c, which opens and makes its pins, and
 * plane/plane_listeners.c, which keeps its listeners. */
#pragma once

#include "core/name.h"
#include "plane/bpf/pins.h"
#include "plane/plane.h"

struct plane {
	char service[SERVICE_NAME_MAX];
	struct pin_path folder;
	struct accounting *accounting; /* not owned, may be NULL */
	struct hs_control *control;    /* mapped */
	int control_fd, counters_fd, events_fd, preview_fd, prefixes_fd;
	struct flows flows;
	struct paths paths;
	unsigned flow_max; /* room of the table, should this process be the one to make it */
	struct listener *listeners[PLANE_LISTENERS_MAX];
	size_t n_listeners;
	char *cgroups[HS_SLOTS_MAX]; /* of the slots' units; NULL = none */
	struct ring_buffer *ring;
	plane_event_fn on_event;
	void *userdata;
};

/* Those that are pinned and not in the list yet. */
int plane_open_listeners(struct plane *plane);
/* Of a service that is being made: nobody else sees its word yet. */
void plane_init_word(struct plane *plane);
/* The table of UDP flows, if there is none. */
int plane_make_flows(struct plane *plane);
