/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Has probes carried out: a connection to one slot on the service's own address, or a plugin whose
 * connections go there. Everything runs through the event loop and nothing blocks in it. What
 * results mean for the slot is core/watch/probe.h.
 *
 * Connections are made here, for a rule must be there before the first packet; what servers and
 * plugins say is read by processes that have nothing (system/probe/asker.h). Whatever becomes of
 * those, a probe is void then: it says nothing of the slot.
 */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "system/probe/probing.h"

/* One for all services. */
struct prober;
int prober_new(sd_event *event, sd_bus *bus, struct prober **ret_prober);
struct prober *prober_free(struct prober *prober);

/* What was started for probes of this service is ended. */
void prober_end(struct prober *prober, const struct plane *plane);

/* For so long a probe may take longer than its Timeout= says, microseconds: when the process that
 * asks has to be started first. */
#define PROBER_START_USEC UINT64_C(2000000)

/* Begins a probe, which ends in any case. Only -ENOMEM: all else is a result. Unless it is a front
 * preview_begin() of this process has come before. */
int prober_start(struct prober *prober, const struct probe_target *target, probe_fn on_end,
		 void *userdata, struct probe_run **ret_run);
