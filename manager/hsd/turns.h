/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For who looks for a fault in us: how long the turns of the event loop take. */
#pragma once

#include <systemd/sd-event.h>

/* As sd_event_loop(), and what takes long is told on stderr, a line for each turn. */
int turns_loop(sd_event *event);
