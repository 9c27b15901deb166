/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decap=yes: what a front has put its packets into is taken off them, for the addresses that the
 * service has; see plane/front/decap.h. */
#pragma once

#include "service/service.h"

/* The settings have been read. From then on it follows devices and addresses as well. */
void unpacking_follow(struct service *service);
void unpacking_done(struct service *service);
/* EVENT_ADOPTED: it may have other addresses. */
void unpacking_heard(struct service *service, const struct event *event);
