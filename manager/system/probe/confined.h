/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The unit of an asker: what it may not. systemd makes it; none of it depends on what we may. */
#pragma once

#include "system/probe/asker.h"
#include "system/unit/units.h"

/* Begins to start it with `input_fd` as its standard input. */
int confined_start(sd_bus *bus, const char *unit, const struct asker_order *order, int input_fd,
		   unit_job_fn on_end, void *userdata, struct unit_job **ret_job);
/* Asks for its control group: the answer is a variant with a text. */
int confined_place(sd_bus *bus, const char *unit, sd_bus_message_handler_t on_answer,
		   void *userdata, sd_bus_slot **ret_call);
/* Kills all that is in it; does not wait. One that is not there is no matter. */
void confined_stop(sd_bus *bus, const char *unit);
