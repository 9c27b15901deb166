/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In the process that does the work: from the order to the answer. */
#pragma once

#include <stddef.h>

#include "plane/bpf/accounting.h"
#include "util/problem.h"

/* At the beginning of the answer; the data follow. */
struct work_head {
	int result;
	struct problem problem;
};

/* Does what is ordered in `file`, and writes the answer there. `socket`: who waits for it. `fds`:
 * what belongs to the order. `accounting` may be NULL. */
int work_do(int socket, int file, const int *fds, size_t n_fds, struct accounting *accounting);

/* Whole or not at all: -errno, -ENODATA when the file ends before. */
int work_write(int file, size_t at, const void *data, size_t size);
int work_read(int file, size_t at, void *data, size_t size);
