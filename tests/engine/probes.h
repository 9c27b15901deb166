/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Probes in place of those that ask servers: a slot is as well as the test says. Linked instead of
 * system/probe/prober.h, whose functions these are; who has begun one hears in a later turn of the
 * event loop.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "system/probe/prober.h"

/* `ill`: which slots are not well just now, as a bit mask; the caller's. */
struct prober *probes_new(sd_event *event, const uint32_t *ill);
/* No probe may be under way. */
void probes_free(struct prober *prober);
