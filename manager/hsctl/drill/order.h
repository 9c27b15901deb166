/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the command line asks of a drill, and whom its prober asks. */
#pragma once

#include "core/watch/probe.h"
#include "hsctl/arguments.h"
#include "hsctl/direct.h"
#include "hsctl/drill/prober.h"
#include "hsctl/drill/report.h"

struct drill_order {
	bool scenarios[DRILL_SCENARIO_COUNT];
	unsigned repeat;
	bool all, exclusive;
	bool limited_gap, limited_lost; /* else the limits are the defaults */
	struct drill_limits limits;
	bool has_probe; /* --probe was given */
	struct probe_spec probe;
	struct prober_target target;
	char socket[HS_PATH_MAX]; /* the target's, of a service without TCP listeners */
	char asked[640];	  /* as in struct drill_run */
};

/* EXIT_DONE, or EXIT_USAGE after a complaint. */
int drill_order_read(const struct arguments *arguments, struct drill_order *ret_order);
/* Finds the listener to ask. The target refers to `direct`, and to the order. EXIT_DONE, or another
 * exit code after a complaint. */
int drill_order_aim(const struct direct *direct, struct drill_order *order);
/* After that: leaves out of --all what makes no sense for such a service. EXIT_REFUSED after a
 * complaint when such a scenario was asked for by name. */
int drill_order_fit(const struct direct *direct, struct drill_order *order);
/* Those of a scenario: what nobody can promise to keep is not held against the service unless it is
 * asked for. */
struct drill_limits drill_order_limits(const struct drill_order *order,
				       enum drill_scenario scenario);
