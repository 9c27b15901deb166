/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `status --watch`: painted anew every second, on a screen of its own; where there is no terminal,
 * block after block. */
#pragma once

#include "hsctl/arguments.h"

/* Until Ctrl-C or until nobody reads any more. `service` NULL: all. Returns the exit code. */
int watch_status(const struct arguments *arguments, const char *service);
