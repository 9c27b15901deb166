/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Probes by TCP and HTTP, through hs-probe: one for all services, and for https one for each. A
 * server may go on for very long with what TLS has to say, without an end to a single read; that
 * holds up the probes of its own service and no others.
 */
#pragma once

#include "system/probe/prober_run.h"

extern const struct probe_way net_probe;

/* Ends what was started for a service's probes; NULL: all that was. */
void net_groups_free(struct prober *prober, const struct plane *plane);
