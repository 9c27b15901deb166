// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/kernel/ephemeral.h"

#include <inttypes.h>
#include <stdio.h>

struct ephemeral ephemeral_range(void)
{
	struct ephemeral range = {32768, 60999}, read;
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");

	if (!file)
		return range;
	if (fscanf(file, "%" SCNu16 " %" SCNu16, &read.low, &read.high) == 2)
		range = read;
	fclose(file);
	return range;
}

bool ephemeral_has(struct ephemeral range, uint16_t port)
{
	return port >= range.low && port <= range.high;
}
