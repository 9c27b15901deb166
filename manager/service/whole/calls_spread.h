/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can be asked of a service with policy hash; as service/whole/calls.h. */
#pragma once

#include "service/request.h"
#include "service/service.h"

/* `by`: "client", "connection"; "": as the settings say. */
void call_set_hash(struct service *service, const char *by, struct request *request);
void call_set_weight(struct service *service, unsigned slot, unsigned percent,
		     struct request *request);
/* `slot`: HS_SLOT_NONE = not pinned any more. */
void call_set_pinned(struct service *service, const char *prefix, unsigned slot,
		     struct request *request);
/* Slots below `slots` take part. */
void call_set_slots(struct service *service, unsigned slots, struct request *request);
void call_rebalance(struct service *service, bool dry_run, struct request *request);
void call_table(struct service *service, struct request *request);
void call_where(struct service *service, const char *client, struct request *request);
