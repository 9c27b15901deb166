/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The composition root: event loop, bus, accounting, services. What there is of it: hsd/state.h. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "service/keep/nudging.h"
#include "util/problem.h"

struct manager;

struct manager_options {
	enum nudging_mode nudging;
	bool debug;    /* what services hear of is written to stderr */
	int work_host; /* see work_host_new(); the manager's from then on */
};

/* `event` must outlive it. On failure `problem` says why. */
int manager_new(sd_event *event, const struct manager_options *options,
		struct manager **ret_manager, struct problem *problem);
struct manager *manager_free(struct manager *manager);
