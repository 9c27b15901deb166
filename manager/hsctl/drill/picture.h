/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A drill as a picture (SVG) that explains itself: a line for each scenario, then the timeline of
 * its worst run. */
#pragma once

#include <stdio.h>

#include "hsctl/drill/runs.h"

/* A whole file. */
void drill_picture(const struct drill_run *runs, size_t n, FILE *out);
