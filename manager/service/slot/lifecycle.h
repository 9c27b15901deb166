/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An instance from its unit's first news to its end: what becomes due is begun here. */
#pragma once

#include "service/slot/instance.h"

int instance_new(struct service *service, unsigned slot, struct instance **ret_instance);
/* The settings of the service may have changed. */
void instance_reload(struct instance *instance);
struct instance *instance_free(struct instance *instance);

/* EVENT_UNIT_CHANGED: whatever that makes due is begun. */
void lifecycle_heard(struct service *service, const struct event *event);
