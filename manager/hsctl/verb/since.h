/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Since when: a span or a time, as people write them. */
#pragma once

#include <stdint.h>
#include <time.h>

/* "2h" before `now`; "@1795996800", in Unix time; "2026-11-30", "2026-11-30 10:45", "2026-11-30
 * 10:45:10", in this machine's time. Seconds; -EINVAL. */
int since_parse(const char *text, time_t now, uint64_t *ret_seconds);
