/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of a service when a slot is lost. */
#pragma once

#include "service/service.h"

/* A slot has lost its sockets, or is about to: if it is the active one, another ready slot becomes
 * active. Tells a running change. */
void service_on_lost(struct service *service, unsigned slot);
/* A socket ceased to listen somewhere: is the active slot still there? */
void service_check_active(struct service *service);
