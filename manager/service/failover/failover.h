/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done about an instance that accepts nothing: another slot becomes active, and what waits
 * on the stuck one moves there. If it is proven to stand still for long, or is stopped, it is
 * drained and restarted, or kept, as OnHang= and DrainEnd= say; each other one is left to what it
 * has in work, and stands by again when it accepts. Every step leaves its trace in the kernel:
 * should hsd end in between, the next one goes on.
 */
#pragma once

#include "service/service.h"
#include "service/watch/hang.h"

int failover_new(struct service *service, struct failover **ret_failover);
struct failover *failover_free(struct failover *failover);

/* What the looks for instances that hang show. */
extern const struct hang_told failover_told;
/* EVENT_VERDICT, which is posted after each round while a slot is unhealthy: if it is the active
 * one another takes over. Unlike one that hangs it stays in service as a standby, if an unhealthy
 * one: it may get well. EVENT_ADOPTED: it is another instance. */
void failover_heard(struct service *service, const struct event *event);

/* The service has that slot no more, or ends. NULL is nobody. */
void failover_on_slot_gone(struct failover *failover, unsigned slot);

/* For so long there is no other automatic fail-over, microseconds. */
uint64_t failover_hold(const struct failover *failover);
