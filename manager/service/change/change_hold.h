/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A change whose slot is ready but not yet known to be healthy waits here for the probes' verdict,
 * for as long as a healthy instance needs for one; and one, also of an exclusive service, of which
 * systemd has not told everything yet, of which a slot has just started, or of which the change
 * before still moves what waits on a slot, for some seconds. Then the gate has its say. */
#pragma once

#include "service/change/change_run.h"

/* Begins a change, or the switchover of an exclusive service, now or later; or refuses it. The
 * request is taken. */
void change_hold_start(struct service *service, const struct change_order *order,
		       struct request *request);
/* Refuses all that wait. */
void change_hold_refuse_all(struct service *service);
/* EVENT_ADOPTED, EVENT_UNIT_CHANGED, EVENT_EMPTIED, EVENT_VERDICT: those that wait ask the gate
 * again. */
void change_hold_heard(struct service *service, const struct event *event);
