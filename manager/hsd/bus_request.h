/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A message of the bus, or of the door, as a request. */
#pragma once

#include <systemd/sd-bus.h>

#include "service/request.h"

struct manager;

/* Keeps a reference of the message, which nobody else answers. */
int bus_request_new(const struct manager *manager, sd_bus_message *m, struct request **ret_request);
