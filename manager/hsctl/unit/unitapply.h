/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes of units' files that count at once. */
#pragma once

#include <systemd/sd-bus.h>

#include "hsctl/unit/filechanges.h"

/* Makes the changes and has systemd read all unit files anew, which may take up to 90 s: both or
 * neither. */
int unitapply(sd_bus *bus, struct filechanges *changes, struct problem *problem);
