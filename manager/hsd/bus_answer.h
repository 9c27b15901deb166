/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the objects on the bus answer alike. Those that return an int do what a method handler does:
 * its result is theirs. */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "hsd/service.h"

int bus_no_service(sd_bus_error *error, const char *name);
/* The service as it is now, as in the answer of Describe(). Who may not see everything may see what
 * was so up to BUS_STALE_USEC ago, too. NULL: no memory. Belongs to the service. */
#define BUS_STALE_USEC (100 * USEC_PER_MSEC)
const char *bus_describe(struct service *service, bool may_see);
