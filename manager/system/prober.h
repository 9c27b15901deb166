/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carries probes out: a connection to one slot on the service's own address, or a plugin whose
 * connections go there. Everything runs through the event loop and nothing blocks in it. What
 * results mean for the slot is core/probe.h.
 */
#pragma once

#include <systemd/sd-event.h>

#include "core/config_health.h"
#include "plane/plane.h"
#include "util/problem.h"

/* One for all services. */
struct prober;
int prober_new(sd_event *event, struct prober **ret_prober);
struct prober *prober_free(struct prober *prober);

/* Selectors of the service look for our connections between these two. Again is no harm. */
int prober_begin(struct prober *prober, struct plane *plane);
void prober_end(struct prober *prober, struct plane *plane);

struct probe_target {
	struct plane *plane;
	unsigned slot;
	const struct config_health *health;
	const struct probe_spec *spec; /* both outlive the run */
};

enum probe_verdict {
	PROBE_GOOD, /* `words` may say something besides: a plugin's warning */
	PROBE_BAD,
	PROBE_VOID, /* it could not be carried out: says nothing of the slot */
};

/* `words` in printable ASCII and as short as a line, whatever the server or the plugin sent. */
struct probe_result {
	enum probe_verdict verdict;
	struct problem words;
};

struct probe_run;
/* Called once, never from prober_start(); the run is freed before. */
typedef void (*probe_fn)(const struct probe_result *result, void *userdata);

/* Begins a probe, which ends after Timeout= at the latest. Only -ENOMEM: all else is a result. */
int prober_start(struct prober *prober, const struct probe_target *target, probe_fn on_end,
		 void *userdata, struct probe_run **ret_run);
/* Ends it without a callback. */
struct probe_run *probe_run_free(struct probe_run *run);
