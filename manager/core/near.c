// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/near.h"

#include <stdbool.h>
#include <string.h>

#include "util/macro.h"

#define ONE_IN 4

static bool exchanged(const char *a, const char *b, unsigned y, unsigned x)
{
	return y > 1 && x > 1 && a[y - 1] == b[x - 2] && a[y - 2] == b[x - 1];
}

/* Both at most NEAR_LENGTH_MAX long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned table[NEAR_LENGTH_MAX + 1][NEAR_LENGTH_MAX + 1];
	unsigned rows = strlen(a), columns = strlen(b);

	for (unsigned y = 0; y <= rows; y++)
		for (unsigned x = 0; x <= columns; x++) {
			if (!y || !x) {
				table[y][x] = x + y;
				continue;
			}
			table[y][x] = MIN(table[y - 1][x - 1] + (a[y - 1] != b[x - 1]),
					  1 + MIN(table[y - 1][x], table[y][x - 1]));
			if (exchanged(a, b, y, x))
				table[y][x] = MIN(table[y][x], table[y - 2][x - 2] + 1);
		}
	return table[rows][columns];
}

int near_distance(const char *typed, const char *word)
{
	size_t length = strlen(typed);
	unsigned d;

	if (!length || length > NEAR_LENGTH_MAX || strlen(word) > NEAR_LENGTH_MAX)
		return -1;
	if (length > 1 && !strncmp(word, typed, length))
		return 1;
	d = distance(typed, word);
	return d * ONE_IN <= MAX(length, ONE_IN) ? (int)d : -1;
}
