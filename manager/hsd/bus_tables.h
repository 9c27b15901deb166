/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The objects on the bus, for those who carry calls to them. */
#pragma once

#include <systemd/sd-bus.h>

#include "hsd/bus.h"

extern const sd_bus_vtable bus_manager_vtable[]; /* of a struct manager */
extern const sd_bus_vtable bus_service_vtable[]; /* of a struct service */

/* The service whose object has this path. NULL: none has. */
struct service *bus_find_service(const struct manager *manager, const char *path);
