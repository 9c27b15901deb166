/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the slots of a service are, told from the facts that there are of each. */
#pragma once

#include "service/service.h"

/* Systemd has been asked about all slots. */
bool service_is_known(const struct service *service);
/* All slots were stopped by somebody: none is on its way or has failed, nor has one that a socket
 * unit starts ended by itself. */
bool service_is_put_down(const struct service *service);

/* States of all slots, from kernel facts and units. */
void service_states(const struct service *service, enum slot_state states[HS_SLOTS_MAX]);
/* Who is to take over from `slot`: a ready one, the fittest; HS_SLOT_NONE when there is none, or
 * only an unhealthy one and that is not wanted. */
unsigned service_pick(const struct service *service, unsigned slot, bool take_unhealthy);
