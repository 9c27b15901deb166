/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of the slots of a front, which are hosts. */
#pragma once

#include "service/service.h"

bool service_is_front(const struct service *service);
/* How many probes a host gets: none, where they could not go by the way of clients' packets. */
unsigned front_slot_probes(const struct service *service, unsigned slot);
/* Something is asked of it: by probes, or its agent. */
bool front_slot_is_asked(const struct service *service, unsigned slot);
/* Of each of them. */
bool front_is_asked(const struct service *service);

/* There is a host of this number in the settings. */
bool front_slot_is_given(const struct service *service, unsigned slot);
enum health_state front_slot_health(const struct service *service, unsigned slot);
/* It gets new flows. */
bool front_slot_takes(const struct service *service, unsigned slot);
/* It does though it is not well, for none is. */
bool front_slot_is_kept(const struct service *service, unsigned slot);
/* What would be its unit's state. */
enum unit_state front_slot_unit(const struct service *service, unsigned slot);
