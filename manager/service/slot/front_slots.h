/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The slots of a front, which are hosts: what is known of each, by its health and by what its agent
 * says, and whether it gets new flows. What adoption, retirement and systemd's news are to an
 * instance.
 */
#pragma once

#include "service/slot/front_facts.h"

/* What the settings are about to change of who has which number; before the kernel side knows. */
struct front_moves front_slots_moves(const struct service *service);
/* Settings have been read, and the kernel side is up to date with them. */
void front_slots_follow(struct service *service);
void front_slots_done(struct service *service);
/* A verdict: a host that has become well gets new flows, one that is not, or leaves, gets none. */
void front_slots_heard(struct service *service, const struct event *event);

/* As `hsctl drain` and `hsctl adopt` want it: out, whatever its health, or back in. */
void front_slot_leave(struct service *service, unsigned slot);
void front_slot_return(struct service *service, unsigned slot);
