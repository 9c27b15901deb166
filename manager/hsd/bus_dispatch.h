/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Carries out a call that was held, as sd-bus would have when it came. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

/* Whether it is a call of ours, with arguments as they should be. Such a one is short if the sender
 * is not root: the methods that others may call take no texts, and the bus lets them call no
 * others. */
bool bus_may_hold(sd_bus_message *m);

/* Whether it is one of our methods, with whatever arguments. */
bool bus_is_ours(sd_bus_message *m);

/* It is answered, now or later. `privileged`: the sender is root. `userdata` is the manager. */
void bus_dispatch(sd_bus_message *m, bool privileged, void *userdata);
