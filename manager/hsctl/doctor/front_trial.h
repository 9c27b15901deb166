/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of the packets of a front, tried out for its device: for doctor, and for the unit
 * that hsd has do it when the program has come to a device. */
#pragma once

#include "core/doctor/frontability.h"

struct front;

/* Where it is cannot be tried, the results say so. Waits for the end, at most some seconds. */
void front_trial(const struct front *front, unsigned mode, struct front_place *ret_place,
		 struct ability_result ret_results[FRONT_ABILITY_COUNT]);
