/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time: now, and spans as people write them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SPAN_TEXT_MAX 24

/* CLOCK_MONOTONIC in microseconds / nanoseconds. */
uint64_t now_usec(void);
uint64_t now_nsec(void);
/* The same clock as programs in the kernel read it when they are in a hurry: up to a tick behind.
 */
uint64_t now_coarse_nsec(void);
/* CLOCK_REALTIME in microseconds. */
uint64_t now_real_usec(void);
/* What this process has used of the CPU so far, in microseconds. */
uint64_t cpu_usec(void);

/* Formats a span of microseconds for people: "0", "250us", "51.2ms", "1.4s", "2min 5s", "3h 20min",
 * "2d 4h". Rounded, but never to 0; USEC_INFINITY is "infinity". Returns `text` (at least
 * SPAN_TEXT_MAX bytes). */
const char *span_format(uint64_t usec, char *text, size_t size);
