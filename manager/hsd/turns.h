/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long the turns of the event loop take: for monitoring the longest, and for who looks for a
 * fault in us each that is long. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* As sd_event_loop(). `longest_usec` is what the longest turn has taken so far, with what it waited
 * for a CPU: meanwhile nobody is heard. With `tell` what takes long is told on stderr, a line for
 * each turn, without that. */
int turns_loop(sd_event *event, bool tell, uint64_t *longest_usec);
