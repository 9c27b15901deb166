/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What systemd says of a unit, read from its answer. For the files that make up units.h alone. */
#pragma once

#include "system/unit/units.h"

/* Reads the answer to Properties.GetAll with an empty interface name, which is all of a unit's. */
int unit_facts_read(sd_bus_message *m, struct unit_facts *ret_facts);

/* The message for a job. The caller owns it. */
int unit_order_new(sd_bus *bus, enum unit_action action, const char *unit,
		   sd_bus_message **ret_order);

/* The path of systemd's object; the caller frees. */
int unit_path(const char *unit, char **ret_path);
