/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs made with Go, which copy from one connection to another by splice(2) without having been
 * told to. */
#pragma once

#include <sys/types.h>

/* Whether the program that the process runs was: 1 or 0, or -errno. Needs to be allowed to look at
 * the process. */
int golang_made(pid_t pid);
