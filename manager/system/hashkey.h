/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of HashKey=: what makes several machines agree, and nobody else is to know. */
#pragma once

#include <stdint.h>

#include "util/problem.h"

/* -errno and a sentence: it is not there, can be read by others than its owner, who is not root, or
 * has no key in it. */
int hashkey_read(const char *path, uint64_t *ret_key, struct problem *problem);
