/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bus API: messages are read and handed to service/whole/calls.h, which knows what is meant.
 * And what is told there.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "hsd/bus_properties.h"

struct manager;
struct service;

/* Puts a service on the bus, where `ret_object` keeps it. */
int bus_publish_service(struct service *service, sd_bus_slot **ret_object);
/* The service whose object has this path. NULL: none has. */
struct service *bus_find_service(const struct manager *manager, const char *path);

void bus_emit_progress(const struct service *service, const char *json);
/* Tells which of its properties are not any more as they were told, if any. */
void bus_emit_changed(const struct service *service, struct bus_told *told);
/* Services have come or gone. */
void bus_emit_services(const struct manager *manager);
