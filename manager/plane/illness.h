/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slots that were not well when they were asked last, noted in the map "room": for hsctl, which
 * asks nobody, when hsd is gone. */
#pragma once

#include <stdint.h>

struct plane;

/* As a bit mask. Where what is pinned is of a release that has no place for it, nothing. */
void plane_note_ill(struct plane *plane, uint32_t slots);
/* 0: none, or nobody has ever noted any. `ret_usec`: when that was noted (now_usec()). */
uint32_t plane_noted_ill(const struct plane *plane, uint64_t *ret_usec);
