/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who asks for a password on this terminal, when polkit wants one: pkttyagent(1), as systemctl has
 * it. */
#pragma once

#include <stdbool.h>

/* It ends with us. False: there is none, as where there is no terminal, or none is needed, as root.
 * What needs it says so then. */
bool agent_open(void);
void agent_close(void);
