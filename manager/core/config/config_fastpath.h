/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Section [FastPath] of a service's settings: units of this machine whose connections to the
 * service go past the TCP stack. Part of struct config.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/name.h"
#include "core/setting.h"

#define CONFIG_FASTPATH_SECTION	  "FastPath"
#define CONFIG_FASTPATH_UNITS_MAX 16

struct config_fastpath {
	unsigned n_units; /* From=: 0 = no connection is on it */
	char units[CONFIG_FASTPATH_UNITS_MAX][UNIT_NAME_MAX]; /* each once */
};

/* The keys of this section, as config_key(); they are set in a struct config_fastpath. */
const struct setting *config_fastpath_key(size_t index);

/* Behind the last assignment: -EINVAL and a sentence where a unit is the service itself. */
int config_fastpath_check(const struct config_fastpath *fastpath, const char *service,
			  struct problem *problem);

/* Whether the settings name this unit. */
bool config_fastpath_has(const struct config_fastpath *fastpath, const char *unit);
