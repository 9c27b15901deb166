/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long the turns of the event loop take: for monitoring all together and the longest, and for
 * who looks for a fault in us each that is long. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* Those that there were so far; with what they waited for a CPU, as meanwhile nobody is heard. */
struct turns {
	uint64_t n, busy_usec, longest_usec;
};

/* As sd_event_loop(). With `tell` what takes long is told on stderr, a line for each turn, without
 * what it waited for a CPU. */
int turns_loop(sd_event *event, bool tell, struct turns *turns);
