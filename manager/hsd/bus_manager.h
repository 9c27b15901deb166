/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manager on the bus, and all that is there where there is no bus in between. */
#pragma once

#include <systemd/sd-bus.h>

struct manager;

/* Puts the manager on the bus and asks for the name. */
int bus_publish_manager(struct manager *manager);
/* Puts the manager and all services on a connection of the door's: for door_open(). `userdata` is
 * the manager. */
int bus_publish_at_door(sd_bus *bus, void *userdata);
