/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bus API: messages are read and handed to service/whole/calls.h, which knows what is meant. */
#pragma once

#include "core/contract.h"
#include "hsd/bus_properties.h"
#include "hsd/manager.h"
#include "service/service.h"

/* Puts the manager on the bus and asks for the name. */
int bus_publish_manager(struct manager *manager);
/* Puts a service on the bus, where `ret_object` keeps it. */
int bus_publish_service(struct service *service, sd_bus_slot **ret_object);

void bus_emit_progress(const struct service *service, const char *json);
/* Tells which of its properties are not any more as they were told, if any. */
void bus_emit_changed(const struct service *service, struct bus_told *told);
/* Services have come or gone. */
void bus_emit_services(const struct manager *manager);
