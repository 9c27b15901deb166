// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/watch/floor.h"

#include "util/macro.h"

/* One that has not been asked yet, and takes connections because the hsd before found it well. */
static bool serves(const struct floor_host *host)
{
	return host->given && !host->bad && host->takes && !host->kept;
}

static bool may_be_kept(const struct floor_host *host)
{
	return host->given && host->bad && !host->aside && host->ended;
}

uint32_t floor_keep(const struct floor_host *hosts, unsigned n, uint64_t window)
{
	uint64_t last = 0;
	uint32_t kept = 0;

	for (unsigned i = 0; i < n; i++) {
		if (serves(&hosts[i]))
			return 0;
		if (may_be_kept(&hosts[i]))
			last = MAX(last, hosts[i].ended);
	}
	for (unsigned i = 0; i < n; i++)
		kept |= (uint32_t)(may_be_kept(&hosts[i]) && last - hosts[i].ended <= window) << i;
	return kept;
}
