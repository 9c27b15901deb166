/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The objects on the bus, for those who carry calls to them. */
#pragma once

#include <systemd/sd-bus.h>

extern const sd_bus_vtable bus_manager_vtable[]; /* of a struct manager: hsd/bus_manager.c */
extern const sd_bus_vtable bus_service_vtable[]; /* of a struct service: hsd/bus.c */
