/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that are known to go by what no kernel tells rightly of connections on the fast path so
 * far: they are kept off it. Of others nobody knows; what they must not do is told by hsctl doctor
 * --fastpath.
 */
#pragma once

#include <stdbool.h>

#include "util/problem.h"

/* Whether one of the processes in this control group is such a program, by its name. Then the
 * sentence says which, and why. */
bool fast_keeps_off(const char *cgroup, struct problem *ret_sentence);
