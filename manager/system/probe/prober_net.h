/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes by TCP and HTTP, through hs-probe. */
#pragma once

#include "system/probe/prober_run.h"

extern const struct probe_way net_probe;
