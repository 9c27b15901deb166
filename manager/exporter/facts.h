/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hsd says, asked over the bus as anybody may. */
#pragma once

#include "hsctl/metrics/metrics.h"
#include "util/problem.h"

/*
 * Asks, and is done within some seconds whatever hsd and the bus do. However often somebody comes
 * hsd is asked once a second: until then this is what it said last. That it is away is an answer,
 * too. Negative errno and a sentence when it refuses to answer.
 *
 * What is returned stays ours, until the next call.
 */
int facts_get(struct metrics_facts *ret_facts, struct problem *problem);
