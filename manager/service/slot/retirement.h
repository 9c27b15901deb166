/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An instance is taken out of service before it stops, in steps between which the event loop runs
 * on; or it waits for another slot first. */
#pragma once

#include "service/slot/instance.h"

/* Whoever asks (may be NULL) is answered at the end. */
void instance_retire(struct instance *instance, struct request *request);
bool instance_is_retiring(const struct instance *instance);
/* Retirements that wait for this slot to be adopted, or for another, look again. */
void retirement_heard(struct service *service, const struct event *event);
/* Likewise, where nobody tells of adoptions. */
void retirement_look(struct service *service);
