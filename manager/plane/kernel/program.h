/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which BPF program a descriptor stands for. */
#pragma once

#include <stdint.h>

/* Its id, which no other program of this boot gets while it lives. 0, or -errno. */
int program_id(int fd, uint32_t *ret_id);
