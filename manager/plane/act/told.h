/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which run of which slot was told last that it is the active one (core/role.h), kept beside the
 * routing word: the next manager, or hsctl without one, tells what has changed since and nothing
 * twice. The map is made when it is first written.
 */
#pragma once

#include "core/role.h"
#include "plane/plane.h"

/* Who tells holds this lock from told_read() to told_write(). -EBUSY: another process does. */
int told_lock(const struct plane *plane, int *ret_fd);
/* Nobody was told: `known` is false. */
int told_read(const struct plane *plane, struct role_told *ret_told);
int told_write(const struct plane *plane, const struct role_told *told);
