/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bus API: messages are read, their bounds are checked, and they are handed to whoever does
 * what is asked: to an upgrade that runs, say, when a rollback is asked for. */
#pragma once

#include "hsd/manager.h"
#include "hsd/service.h"

#define BUS_NAME	     "org.hotstandby1"
#define BUS_PATH	     "/org/hotstandby1"
#define BUS_ERROR_REFUSED    "org.hotstandby1.Error.Refused"
#define BUS_ERROR_UNDONE     "org.hotstandby1.Error.Undone"
#define BUS_ERROR_NO_SERVICE "org.hotstandby1.Error.NoSuchService"
#define BUS_ERROR_INVALID    "org.hotstandby1.Error.InvalidArgument"
#define BUS_ERROR_FAILED     "org.hotstandby1.Error.Failed"

/* Puts the manager on the bus and asks for the name. */
int bus_publish_manager(struct manager *manager);
/* Puts a service on the bus; `service->bus_object` takes it off again. */
int bus_publish_service(struct service *service);

void bus_emit_progress(const struct service *service, const char *json);
/* The properties that follow the routing word have changed. */
void bus_emit_changed(const struct service *service);
