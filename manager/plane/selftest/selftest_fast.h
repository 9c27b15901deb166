/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this kernel makes of connections on the fast path, found out by doing it, with the programs
 * that are used (fast_stage.h), in the frame of plane/selftest/selftest.h. */
#pragma once

#include "core/doctor/fastability.h"
#include "plane/selftest/selftest.h"

/* Those of this bit mask (1 << FAST_...), or SELFTEST_ALL. All but FAST_LARGE take a second or two,
 * that one some more; the vital ones a tenth of a second. selftest_finish() then has
 * FAST_ABILITY_COUNT results. */
int selftest_fast_start(uint32_t which, struct selftest **ret_selftest);
/* Tries the vital ones, and waits for them: fast_ability_refuses(). Once in a process. */
bool selftest_fast_refuses(struct problem *ret_sentence);
