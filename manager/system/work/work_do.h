/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In the process that does the work: from the order to the answer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "plane/bpf/accounting.h"

/* Does what is ordered in `file`, and writes the answer there. `socket`: who waits for it. `fds`:
 * what belongs to the order. `accounting` may be NULL. */
int work_do(int socket, int file, const int *fds, size_t n_fds, struct accounting *accounting,
	    bool borrows);
