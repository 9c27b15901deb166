/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can be asked of a slot, mostly by the hooks of its unit; see service/whole/calls.h. Of a
 * front, whose slots are hosts, little of it. */
#pragma once

#include "service/request.h"
#include "service/service.h"

/* `slot` may be any number: one that the service does not have is refused. */
void call_prepare(struct service *service, unsigned slot, struct request *request);
/* Also takes back who was drained. */
void call_adopt(struct service *service, unsigned slot, struct request *request);
void call_retire(struct service *service, unsigned slot, struct request *request);
