/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where text for people goes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct render {
	FILE *out;
	bool color;
	uint64_t now_usec; /* CLOCK_REALTIME: what "since" is counted from */
};
