/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A signal to the main process of a unit, by systemd (KillUnit, "main"). */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

struct unit_signal;

/* `error`: NULL = it was sent, else systemd's words; `gone`: for the process is not there any more.
 * Called once; the object is freed after the call. */
typedef void (*unit_signal_fn)(const char *error, bool gone, void *userdata);

int unit_signal_new(sd_bus *bus, const char *unit, int number, unit_signal_fn on_end,
		    void *userdata, struct unit_signal **ret_signal);
/* Without a callback; it may have been sent. */
struct unit_signal *unit_signal_free(struct unit_signal *signal);
