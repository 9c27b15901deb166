/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that are known to go by what no kernel tells rightly of connections on the fast path so
 * far: they are kept off it. Of others nobody knows; what they must not do is told by hsctl doctor
 * --fastpath.
 */
#pragma once

#include <stdbool.h>

#include "util/problem.h"

/* Whether one of the processes in this control group is such a program, by its name; of many the
 * first ones are looked at. Then the sentence says which, and why. Who takes another name, or hides
 * among many, waits for ever by himself. */
bool fast_keeps_off(const char *cgroup, struct problem *ret_sentence);
