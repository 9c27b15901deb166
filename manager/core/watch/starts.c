// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/watch/starts.h"

#include "util/macro.h"

/* On top of the 100 ms that systemd waits. */
#define AT_ONCE	    10
#define DELAY_FIRST (100 * USEC_PER_MSEC)
#define DELAY_MAX   (10 * USEC_PER_SEC)

uint64_t starts_delay(unsigned ends)
{
	unsigned doubled = ends > AT_ONCE ? MIN(ends - AT_ONCE - 1, 10U) : 0;

	return ends > AT_ONCE ? MIN(DELAY_FIRST << doubled, DELAY_MAX) : 0;
}
