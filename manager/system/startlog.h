/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often in a row hsd has ended soon after its start: a file in its runtime folder, which
 * systemd keeps over restarts and removes with a stop. systemd's own growing delay (RestartSteps=,
 * from 254 on) never forgets: months of good work later it would still be the longest.
 */
#pragma once

#include <stdint.h>

#include "util/problem.h"

struct startlog {
	unsigned ends;		   /* how often it has ended badly, one time after the other */
	struct problem last_words; /* why, the last time; "" = not known, as after a crash */
};

/* Counts this start. Returns how long to wait before the work begins; 0 also without a runtime
 * folder, as when it is started by hand. */
uint64_t startlog_begin(struct startlog *ret_log);

/* How often it was started since it was last stopped on purpose, this time among them: 1 where that
 * cannot be written down. For monitoring: called once. */
uint64_t startlog_count(void);

/* Why this one ends badly. */
void startlog_fail(const char *last_words);

/* It ends because it was told to. */
void startlog_end(void);
