/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes by plugins, through hs-plugin. */
#pragma once

#include "system/probe/prober_run.h"

extern const struct probe_way exec_probe;

/* Ends the processes for plugins of this service; with `plane` NULL all of them. */
void plugin_groups_free(struct prober *prober, const struct plane *plane);
