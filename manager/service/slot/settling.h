/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server opens its listeners within some time of its start. What it binds later elsewhere, by
 * processes that have none of these, is for one client: a passive port of FTP. */
#pragma once

#include "service/slot/instance.h"

/* Whether that time is over for the instance. */
bool settling_is_over(const struct instance *instance);
/* It was adopted, or has ended: when the time is over for all that run, force is left to the
 * service's addresses. Until a slot is prepared again. */
void settling_follow(struct service *service);
void settling_done(struct service *service);
/* EVENT_ADOPTED. */
void settling_heard(struct service *service, const struct event *event);
