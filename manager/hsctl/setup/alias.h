/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The unit of the plain name: see core/setup/alias.h. */
#pragma once

#include <systemd/sd-bus.h>

#include "util/problem.h"

/* Stops the alias of the service, if it has one, and leaves the slots alone: before its file goes.
 */
int alias_let_go(sd_bus *systemd, const char *service, struct problem *problem);
