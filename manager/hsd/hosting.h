/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hsd as the host of its services: what they need of it, see service/host.h. */
#pragma once

#include "service/service.h"

extern const struct host_ops hosting_ops; /* of the host of a struct manager */

/* Writes it to stderr. */
void hosting_debug(const char *line);

/* Puts a service on the bus, where it can be asked. */
int hosting_publish(struct service *service);
/* Takes it off again, and frees it. */
struct service *hosting_free(struct service *service);
