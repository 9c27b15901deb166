/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a drill must put back, written down below /run before it harms anything, and who does it
 * when the drill itself cannot any more: a unit of its own runs "hsctl drill NAME --put-back",
 * which waits for the drill's lock. The kernel releases that however the drill ends. What the drill
 * has put back itself is not written down any more, and then there is nothing to do.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "util/problem.h"

/* The service as the drill found it. */
struct drill_before {
	unsigned active;
	uint32_t ready; /* slots, as a bit mask */
};

/* One drill of a service at a time; ends with the descriptor, or the process. -EBUSY when another
 * has it and `wait` is false. */
int drillguard_lock(const char *service, bool wait, int *ret_fd, struct problem *problem);

int drillguard_note(const char *service, const struct drill_before *before,
		    struct problem *problem);
/* -ENOENT: nothing is to be put back. */
int drillguard_read(const char *service, struct drill_before *ret_before);
void drillguard_forget(const char *service);

/* The unit. It runs when this returns 0. */
int drillguard_start(sd_bus *systemd, const char *service, struct problem *problem);
void drillguard_stop(sd_bus *systemd, const char *service);
/* That it has failed to put things back is history. */
void drillguard_forgive(sd_bus *systemd, const char *service);
