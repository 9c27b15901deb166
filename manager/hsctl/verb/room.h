/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A running plain unit is made to share its addresses with a slot: see plane/act/room.h. */
#pragma once

#include <systemd/sd-bus.h>

#include "core/config/config.h"
#include "util/problem.h"

/*
 * Nothing, and 0, where the unit has no processes. Else how many sockets of it can be joined by
 * those of the slot now. Negative errno, and a clause for behind "...: ".
 */
int room_in_unit(sd_bus *systemd, const char *unit, const char *slot_unit,
		 const struct config *config, struct problem *problem);
