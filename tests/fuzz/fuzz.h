/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every fuzz target has: libFuzzer calls it, or, without libFuzzer, standalone.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* One input. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What does not hold is a finding. */
static inline void check(bool holds)
{
	if (!holds)
		abort();
}
