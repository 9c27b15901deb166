// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/probe/prober.h"

#include "system/probe/prober_exec.h"
#include "system/probe/prober_net.h"
#include "util/macro.h"

int prober_new(sd_event *event, sd_bus *bus, struct prober **ret_prober)
{
	_cleanup_(freep) struct prober *prober = calloc(1, sizeof(*prober));
	int r;

	if (!prober)
		return -ENOMEM;
	prober->event = event;
	prober->bus = bus;
	r = owner_of_process(0, &prober->owner);
	if (r < 0)
		return r;
	*ret_prober = steal_ptr(&prober);
	return 0;
}

struct prober *prober_free(struct prober *prober)
{
	if (!prober)
		return NULL;
	plugin_groups_free(prober, NULL);
	net_groups_free(prober, NULL);
	if (prober->led)
		led_end(prober->led, &prober->owner);
	led_free(prober->led);
	free(prober);
	return NULL;
}

void prober_end(struct prober *prober, const struct plane *plane)
{
	plugin_groups_free(prober, plane);
	net_groups_free(prober, plane);
}

int prober_start(struct prober *prober, const struct probe_target *target, probe_fn on_end,
		 void *userdata, struct probe_run **ret_run)
{
	const struct probe_way *way = target->spec->kind == PROBE_EXEC ? &exec_probe : &net_probe;
	int r = probe_run_new(prober, target, on_end, userdata, way, ret_run);

	if (r < 0)
		return r;
	way->start(*ret_run);
	return 0;
}
