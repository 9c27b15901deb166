/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that are known to do what a kernel breaks on the fast path: they are kept off it there.
 * Of others nobody knows; what they must not do is told by hsctl doctor --fastpath.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/doctor/fastability.h"

/* Bit mask of what some known program needs beside what is vital: to be tried with that. */
uint32_t fast_programs_need(void);
/* Whether one of the processes in this control group is such a program. Then the sentence names it,
 * and says what does not hold. `results` as of selftest_finish(); what was not tried holds. */
bool fast_programs_keep_off(const char *cgroup, const struct ability_result *results,
			    struct problem *ret_sentence);
