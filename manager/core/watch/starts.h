/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long hsd waits before it begins, when it has ended soon after each of its last starts. Pure.
 */
#pragma once

#include <stdint.h>

#include "util/macro.h"

/* One that has worked for as long as this ended for a reason of its own. */
#define STARTS_FORGET (10 * USEC_PER_SEC)

/* `ends`: how often in a row it has ended badly within STARTS_FORGET. Nothing for the first few, as
 * after a crash every moment counts; then twice as long each time, up to ten seconds. */
uint64_t starts_delay(unsigned ends);
