/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The health of a service's slots: asks each that runs, by the probes of section [Health], every
 * Interval= (and one that is not known yet at once and again and again), and has the verdicts of
 * core/watch/probe.h. What follows for an active slot is service/failover/failover.h.
 *
 * Nothing is kept over the end of hsd: the next one asks anew, and knows within moments.
 */
#pragma once

#include "service/service.h"

int health_new(struct service *service, struct health_watch **ret_watch);
struct health_watch *health_free(struct health_watch *watch);

/* The settings have been read again: before anything else, as probes that run go by the old. */
void health_reload(struct health_watch *watch);
/* Slots came or went. */
void health_poke(struct health_watch *watch);
/* EVENT_ADOPTED: nothing is known of this instance. EVENT_UNIT_CHANGED, EVENT_LOST: looks soon. */
void health_heard(struct service *service, const struct event *event);

/* Of who does not ask by itself, as hsctl: what hsd has noted, as long as that is recent and of the
 * same instance. True, and a refusal: the slot was not well. */
bool health_was_bad(const struct service *service, unsigned slot, struct problem *ret_refusal);
/* For so long a fresh instance that is well may be unknown, microseconds. */
uint64_t health_patience(const struct service *service);
