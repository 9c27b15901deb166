/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ports that Ports= does not name (any more) are given up: first their parks are closed, then their
 * sockets leave the maps and the selector their groups. The servers go on as they are. */
#pragma once

#include "service/service.h"

/* The settings have changed, or systemd has told about a slot. */
void narrowing_look(struct service *service);
void narrowing_done(struct service *service);
/* EVENT_UNIT_CHANGED: systemd may have told of all by now. */
void narrowing_heard(struct service *service, const struct event *event);
