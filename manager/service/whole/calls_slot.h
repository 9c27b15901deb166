/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can be asked of a slot, mostly by the hooks of its unit; see service/whole/calls.h. Of a
 * front, whose slots are hosts, little of it. */
#pragma once

#include "service/slot/instance.h"

void call_prepare(struct instance *instance, struct request *request);
/* Also takes back who was drained. */
void call_adopt(struct instance *instance, struct request *request);
void call_retire(struct instance *instance, struct request *request);
