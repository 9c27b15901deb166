/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of a service when a slot is lost. */
#pragma once

#include "service/service.h"

/* EVENT_LOST: if it is the active one, another ready slot becomes active. EVENT_ADOPTED. */
void lost_heard(struct service *service, const struct event *event);
/* A socket ceased to listen somewhere: is the active slot still there? */
void lost_check_active(struct service *service);
