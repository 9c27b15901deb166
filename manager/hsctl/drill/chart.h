/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The timeline of one run of a drill: what was done, what became of the slots, what clients saw. */
#pragma once

#include <stdio.h>

#include "hsctl/drill/runs.h"

/* The timeline of one run, whose upper end is at `y`. */
void drill_chart(const struct drill_run *run, double y, FILE *out);
double drill_chart_height(const struct drill_run *run);
