/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A service is put together, and taken apart: its settings, its kernel side, its instances, and all
 * that looks after them. */
#pragma once

#include "service/service.h"

/* Reads the settings, makes the kernel side and looks for running instances. Succeeds also when the
 * service cannot be managed: its `problem` tells. */
int service_new(const struct host *host, const char *name, struct service **ret_service);
/* Forgets the service; its pins and its traffic stay. */
struct service *service_free(struct service *service);
/* It is managed no longer: what waits in its park goes to the slots. */
void service_forget(struct service *service);
/* Reads the settings again if there may be something new in them, or something was wrong. */
void service_reload(struct service *service);
