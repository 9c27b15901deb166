/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A probe as it is ordered, and what came of it. */
#pragma once

#include <stdbool.h>

#include "core/config/config_front.h"
#include "core/config/config_health.h"
#include "plane/plane.h"
#include "util/problem.h"

struct probe_target {
	struct plane *plane;
	unsigned slot;
	const struct config_health *health;
	uint64_t connect_usec; /* how long it may take to be connected; 0 = as long as Timeout= */
	const struct probe_spec *spec;
	const struct config_front *front; /* NULL: its slots are no hosts. All outlive the run */
	/* a connection to the slot's AF_UNIX socket, for prober_start() to take over unless it
	 * fails; without that one is made, by TCP */
	bool is_connected;
	int fd;
};

/* `words` in printable ASCII and as short as a line, whatever the server or the plugin sent. */
struct probe_result {
	enum probe_verdict verdict;
	/* it was answered, and not by the slot: void */
	bool stray;
	struct problem words;
};

struct probe_run;
/* Called once, never from prober_start(); the run is freed before. */
typedef void (*probe_fn)(const struct probe_result *result, void *userdata);

/* Ends it without a callback. */
struct probe_run *probe_run_free(struct probe_run *run);
