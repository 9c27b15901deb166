/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets of others where a service listens: told once when they appear and once when they are
 * gone. Nothing is polled: a listen(), an adoption and a question about the status are reasons to
 * look. */
#pragma once

#include "service/service.h"

/* Looks who else is there. */
void foreign_watch_look(struct service *service);
/* EVENT_ADOPTED: looks. */
void foreign_watch_heard(struct service *service, const struct event *event);
/* A socket with this port, of nobody in particular, began or ceased to listen: a reason to look in
 * a moment, by foreign_watch_look_due(), if the service has that port. */
void foreign_watch_note(struct service *service, uint16_t port);
void foreign_watch_look_due(struct service *service);
/* Somebody asks: are those still there that were seen? */
void foreign_watch_confirm(struct service *service);
