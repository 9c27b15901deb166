/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the objects on the bus answer alike. Those that return an int do what a method handler does:
 * its result is theirs. */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "hsd/service.h"

/* Takes `object`. */
int bus_reply_json(sd_bus_message *m, json_object *object);
/* By a gate: nothing has changed. */
int bus_refuse(sd_bus_error *error, const struct problem *sentence);
int bus_no_service(sd_bus_error *error, const char *name);
/* 0, or the error: a service without a kernel side can be looked at, not changed. */
int bus_need_plane(const struct service *service, sd_bus_error *error);
/* The service as it is now, as in the answer of Describe(). Who may not see everything may see what
 * was so up to BUS_STALE_USEC ago, too. NULL: no memory. Belongs to the service. */
#define BUS_STALE_USEC (100 * USEC_PER_MSEC)
const char *bus_describe(struct service *service, bool may_see);
