/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Units in place of systemd's: they are what the test says that they are, and a job ends when the
 * test says so. Linked instead of system/unit/unitwatch.h and unitjob.h, whose functions these are,
 * too; whoever watches a unit is told in a later turn of the event loop, as by the bus.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "system/unit/units.h"

/* All are down. */
void units_begin(void);
/* From now on who watches is told by this event loop. Nobody may watch yet. */
void units_tell_by(sd_event *event);
/* Nobody may watch any more. Jobs that have not ended are forgotten. */
void units_end(void);

/* From now on systemd would say this of it; a unit of which nothing was said is down. `facts` have
 * no lists. */
void units_say(const char *unit, const struct unit_facts *facts);
/* The same, but whoever watches it is not told: its signal is late. */
void units_hide(const char *unit, const struct unit_facts *facts);

/* The oldest job of the unit that has not ended. False: there is none. */
bool units_find_job(const char *unit, enum unit_action *ret_action);
/* Ends it, "done" or otherwise; whoever has ordered it is told before this returns. */
void units_end_job(const char *unit, const char *result);
