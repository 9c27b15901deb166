/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line is read: by the tables of verbs and options. */
#pragma once

#include "hsctl/arguments.h"

/*
 * Reads a command line; `argv` is permuted no further than getopt_long(3) does. -EINVAL, and a
 * sentence: it is none of ours. Colour is for the caller to allow: only --no-color is seen here.
 */
int arguments_parse(int argc, char **argv, struct arguments *ret_arguments,
		    struct problem *problem);
