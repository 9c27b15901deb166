/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carries out a call that came over the bus, as sd-bus would; of who is not root after polkit has
 * said that they may, where that is needed.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "hsd/polkit.h"

/* It is answered, now or later. `userdata` is the manager. */
void bus_dispatch(sd_bus_message *m, void *userdata);
/* What polkit has answered: for polkit_new(). */
void bus_dispatch_asked(const struct polkit_case *asked, enum right_answer answer,
			const char *detail, void *userdata);
