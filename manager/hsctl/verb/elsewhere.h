/* SPDX-License-Identifier: GPL-2.0-or-later */
/* With -H and -M: verbs that need more than the bus of the other machine. */
#pragma once

#include "hsctl/arguments.h"

/* Has the hsctl there do all of it, in our place. Returns the exit code. */
int elsewhere_run(const struct arguments *arguments);

/* The words as one line for a shell. NULL without memory. Free it. */
char *elsewhere_quote(const char *const *words, unsigned n);
