/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file in memory by which an order goes, and its answer comes back. */
#pragma once

#include <stddef.h>

#include "util/problem.h"

/* At the beginning of the answer; the data follow. */
struct work_head {
	int result;
	struct problem problem;
};

/* Whole or not at all: -errno, -ENODATA when the file ends before. */
int work_write(int file, size_t at, const void *data, size_t size);
int work_read(int file, size_t at, void *data, size_t size);
