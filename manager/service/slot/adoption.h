/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sockets of an instance are found and put into the map, in steps between which the event loop
 * runs on. Whoever asks for it does so by instance_adopt(). */
#pragma once

#include "service/slot/instance.h"

/* Begins the adoption that is wanted. The facts are fresh. */
void adoption_start(struct instance *instance, const struct unit_facts *facts);
/* It holds the lock of a socket no longer, for which adoption was given up. */
void adoption_retry(struct instance *instance);
/* EVENT_ADOPTED: who has asked for it is answered, and what was found is free again. */
void adoption_heard(struct service *service, const struct event *event);
