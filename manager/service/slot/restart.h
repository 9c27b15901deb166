/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An instance that has ended by itself is started again. */
#pragma once

#include "service/slot/instance.h"

/* It has failed: after a while, which grows, unless the settings say otherwise. */
void restart_later(struct instance *instance);
/* The facts are fresh. The socket units may have been stopped for one run while systemd had the
 * start of the next one in hand, which then began without them: another start fetches them. */
void restart_check(struct instance *instance, const struct unit_facts *facts);
