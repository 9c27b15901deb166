/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first move: from a plain unit that serves to the slots of a template, and no client notices.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "hsctl/arguments.h"
#include "hsctl/setup/enable.h"

/* Whether the move can be made, before anything is written. 0, or an exit code after a complaint.
 */
int takeover_check(const struct arguments *arguments, sd_bus *systemd,
		   const struct enable_plan *plan);
/* Makes it, once the plan was applied, which is taken back if it cannot be made. Tells what it
 * does. Returns the exit code. */
int takeover_run(const struct arguments *arguments, sd_bus *systemd, struct enable_plan *plan);
