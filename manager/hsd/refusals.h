/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refusals of those who ask too much, told late: who waits for an answer before it asks again, be
 * it by a bug or on purpose, then asks no more than the bus lets it have unanswered, and the bus
 * has time for others. When there are too many the oldest is told early.
 */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define REFUSALS_MAX	 4096
#define REFUSALS_LATE_MS 1000

struct refusals;

int refusals_new(sd_event *event, struct refusals **ret_refusals);
/* What is left is told at once. */
struct refusals *refusals_free(struct refusals *refusals);

void refusals_add(struct refusals *refusals, sd_bus_message *m, const char *sentence);
