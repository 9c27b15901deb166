/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A change whose slot is ready but not yet known to be healthy waits here for the probes' verdict,
 * for as long as a healthy instance needs for one; and one, also of an exclusive service, of which
 * systemd has not told everything yet, or of which a slot has just started, for some seconds. Then
 * the gate has its say. */
#pragma once

#include "hsd/change_run.h"

/* As change_run_start(), but a change to a slot that is not known yet is begun, or refused on the
 * bus, later: then 0 and GATE_OPEN. `message` is not NULL. */
int change_hold_start(struct service *service, const struct change_order *order,
		      sd_bus_message *message, enum gate_answer *ret_answer,
		      struct problem *ret_refusal);
/* A verdict has changed, or systemd has told about a slot. */
void change_hold_poke(struct service *service);
/* Refuses all that wait. */
void change_hold_refuse_all(struct service *service);
