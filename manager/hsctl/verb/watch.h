/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `--watch`: painted anew every second, on a screen of its own; where there is no terminal, block
 * after block. */
#pragma once

#include <stdio.h>

#include "hsctl/arguments.h"

struct watched {
	const char *service; /* NULL: all */
	/* One picture as text. What goes wrong is part of it: the next second may be better. */
	void (*draw)(const struct arguments *arguments, const char *service, FILE *out);
};

/* Until Ctrl-C or until nobody reads any more. Returns the exit code. */
int watch(const struct arguments *arguments, const struct watched *watched);
