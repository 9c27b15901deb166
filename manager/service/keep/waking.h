/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Servers that a socket unit starts may end when nobody asks them anything. The socket unit does
 * not listen then, as the park has the address: so who waits there has one of them started. */
#pragma once

#include "service/service.h"

/* Connections wait in the park, and no slot takes them. */
void waking_look(struct service *service);
void waking_done(struct waking *waking);
