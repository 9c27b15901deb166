/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking for instances that hang (core/watch/stall.h): accept queues and counts of all services,
 * asked from the kernel. Often while there is traffic, of which the accounting program tells when
 * it begins after a pause; else seldom. What follows is service/failover/failover.h.
 */
#pragma once

#include "core/watch/stall.h"
#include "service/service.h"

/* One for all services: a look at the queues serves them all. */
struct hang_watch;

int hang_watch_new(sd_event *event, struct hang_watch **ret_watch);
struct hang_watch *hang_watch_free(struct hang_watch *watch);
/* The service with this id got a connection. */
void hang_watch_heard(struct hang_watch *watch, uint32_t service_id);

/* Who is told what a look shows of a slot: in the middle of it, again and again. */
struct hang_told {
	/* somebody waits, and nobody has been accepted for a moment: whatever comes of it; and that
	 * is over */
	void (*waiting)(struct service *service, unsigned slot);
	void (*accepting)(struct service *service, unsigned slot);
	/* none has been accepted for Stall= */
	void (*stalled)(struct service *service, unsigned slot,
			const struct stall_evidence *evidence);
	/* it accepts, after that */
	void (*served)(struct service *service, unsigned slot);
	/* it is suspect in the kernel: who made it so may have ended in the middle of leaving it */
	void (*suspect)(struct service *service, unsigned slot);
};

/* That of one service. */
struct hang;

int hang_new(struct service *service, struct hang_watch *watch, const struct hang_told *told,
	     struct hang **ret_hang);
struct hang *hang_free(struct hang *hang);
/* The settings are others, or a unit that is suspect: looks for a while. */
void hang_poke(struct hang *hang);
/* Connections come, or are moved to one of its slots. `hang` may be NULL. */
void hang_on_traffic(struct hang *hang);
/* EVENT_NEW_RUN, EVENT_ADOPTED: another instance. EVENT_UNIT_CHANGED. */
void hang_heard(struct service *service, const struct event *event);
/* Whether this run has accepted nothing yet, and is not halted: many servers listen long before
 * they begin to serve. To be asked during a look, when it has stalled. */
bool hang_is_starting(struct hang *hang, unsigned slot);
/* How many connections the slot was ever given; 0 = they are not counted. */
uint64_t hang_given(const struct hang *hang, unsigned slot);
/* How many wait for the slot, in service or not, of the first `among` that it was given; 0: of all.
 * Not during a look. */
uint32_t hang_queued(struct hang *hang, unsigned slot, uint64_t among);
/* For so long somebody has waited for the slot and nobody has accepted, microseconds; 0 = it
 * serves. */
uint64_t hang_stalled(const struct hang *hang, unsigned slot);
