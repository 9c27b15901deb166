/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A folder from which nothing can be removed, not by root either: its append-only flag
 * (ioctl_iflags(2)). The flag outlasts the process that has set it, so a file beside it says whose
 * it is: root's, locked by the holder as long as that one lives. Whoever finds it unlocked takes
 * flag and file off. A flag that somebody else has set has no such file, and stays.
 */
#pragma once

#include <stdbool.h>

#define FOLDERFLAG_MARK ".hotstandby.held"

/* `folder` is open for reading. `ret_mark` is for folderflag_clear(); closed alone, or with the
 * process, it leaves what the next one takes off. -EALREADY: it has the flag, and from another;
 * -EBUSY: of another process of ours; -errno where the file system has no such flag. */
int folderflag_set(int folder, int *ret_mark);
/* Closes `mark`. */
void folderflag_clear(int folder, int mark);

/* Whether one that was killed has left it. `folder` may be O_PATH. */
bool folderflag_is_left(int folder);

/* Takes off what one that was killed has left; else does nothing. `folder` may be O_PATH. Returns
 * whether the folder has the flag now. */
bool folderflag_settle(int folder);
