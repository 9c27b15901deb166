/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A unit whose server is not in its control group: docker run, systemd-run --scope. Its sockets are
 * looked for in vain. */
#pragma once

#include "system/unit/units.h"

/* Says where its processes are, and what helps; empty = nothing of the kind. Reads /proc of the
 * main process. */
void stray_describe(const char *service, unsigned slot, const struct unit_facts *facts,
		    struct problem *ret_sentence);
