/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done about an instance that accepts nothing: another slot becomes active, and what waits
 * on the stuck one moves there. If it is proven to stand still for long, or is stopped, it is
 * drained and restarted, or kept, as OnHang= and DrainEnd= say; each other one is left to what it
 * has in work, and stands by again when it accepts. Every step leaves its trace in the kernel:
 * should hsd end in between, the next one goes on.
 */
#pragma once

#include "core/watch/stall.h"
#include "service/service.h"

int failover_new(struct service *service, struct failover **ret_failover);
struct failover *failover_free(struct failover *failover);

/* Somebody waits, and nobody has been accepted for a moment: whatever comes of it, what the
 * instance does is noted from now on. And: that is over. */
void failover_on_waiting(struct failover *failover, unsigned slot);
void failover_on_accepting(struct failover *failover, unsigned slot);
/* None has been accepted for Stall=. Called again and again while it does. */
void failover_on_stalled(struct failover *failover, unsigned slot,
			 const struct stall_evidence *evidence);
/* It accepts. */
void failover_on_served(struct failover *failover, unsigned slot);

/* EVENT_VERDICT, which is posted after each round while a slot is unhealthy: if it is the active
 * one another takes over. Unlike one that hangs it stays in service as a standby, if an unhealthy
 * one: it may get well. EVENT_ADOPTED: it is another instance. */
void failover_heard(struct service *service, const struct event *event);

/* Another instance occupies the slot. */
void failover_forget(struct failover *failover, unsigned slot);

/* The service has that slot no more, or ends. NULL is nobody. */
void failover_on_slot_gone(struct failover *failover, unsigned slot);

/* The slot is suspect in the kernel, and its unit runs: whoever made it so may have ended in the
 * middle. */
void failover_resume(struct failover *failover, unsigned slot);

/* It accepts nothing, in service or not, and is not known to stand still; NULL knows of none. */
bool failover_is_full(const struct failover *failover, unsigned slot);
/* What is wrong with the slot, for people; empty = nothing. */
const struct problem *failover_problem(const struct failover *failover, unsigned slot);
/* For so long there is no other automatic fail-over, microseconds. */
uint64_t failover_hold(const struct failover *failover);
