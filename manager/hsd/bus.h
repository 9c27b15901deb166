/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bus API: messages are read, their bounds are checked, and they are handed to whoever does
 * what is asked: to an upgrade that runs, say, when a rollback is asked for. */
#pragma once

#include "core/contract.h"
#include "hsd/manager.h"
#include "hsd/service.h"

/* Puts the manager on the bus and asks for the name. */
int bus_publish_manager(struct manager *manager);
/* Puts a service on the bus; `service->bus_object` takes it off again. */
int bus_publish_service(struct service *service);

void bus_emit_progress(const struct service *service, const char *json);
/* The properties that follow the routing word have changed. */
void bus_emit_changed(const struct service *service);
