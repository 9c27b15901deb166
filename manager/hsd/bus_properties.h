/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a service shows of itself on the bus, in types, and the news of it. */
#pragma once

#include <systemd/sd-bus.h>

#include "service/service.h"

/* What was told last. */
struct bus_told {
	uint64_t word;
	enum slot_state states[HS_SLOTS_MAX];
	unsigned n_slots;
};

/* As it is now. */
void bus_look(const struct service *service, struct bus_told *ret_told);
/* The names of the properties that differ, NULL behind the last. */
#define BUS_PROPERTIES_MAX 8
void bus_compare(const struct bus_told *before, const struct bus_told *now,
		 const char *ret_names[BUS_PROPERTIES_MAX]);

/* Getters of the vtable; `userdata` is the service. */
int bus_get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
		 sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_get_number(sd_bus *bus, const char *path, const char *interface, const char *property,
		   sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_get_held(sd_bus *bus, const char *path, const char *interface, const char *property,
		 sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_get_slots(sd_bus *bus, const char *path, const char *interface, const char *property,
		  sd_bus_message *reply, void *userdata, sd_bus_error *error);
