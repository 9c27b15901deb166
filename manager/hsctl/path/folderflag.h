/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names in a folder are changed by one process of ours at a time, and it may be kept that nothing
 * is removed from it, not by root either: the folder's append-only flag (ioctl_iflags(2)). Whose
 * turn it is says a file in it: root's, locked as long as that process lives. The flag outlasts
 * who has set it: whoever finds the file unlocked takes flag and file off. A flag that somebody
 * else has set has no such file, and stays.
 */
#pragma once

#include <stdbool.h>

#define FOLDERFLAG_MARK ".hotstandby.held"

/* A folder, and its file. Closed alone, or with the process, it leaves what the next one takes
 * off. */
struct folderlock {
	int folder, mark;
};
#define FOLDERLOCK_NONE ((struct folderlock) {-1, -1})

/* From now on it is our turn; another of ours, which needs a moment for that, is waited for, but
 * not for long. -EALREADY: it has the flag, and from another; -EBUSY: it is another's turn still.
 * `folder` may be O_PATH. */
int folderflag_take(int folder, struct folderlock *ret_lock);
/* Until it is released nothing can be removed. -errno where the file system has no such flag. */
int folderflag_set(const struct folderlock *lock);
/* Does nothing for FOLDERLOCK_NONE. */
void folderflag_release(struct folderlock *lock);

/* Whether one that was killed has left it. `folder` may be O_PATH. */
bool folderflag_is_left(int folder);

/* Takes off what one that was killed has left; else does nothing. `folder` may be O_PATH. Returns
 * whether the folder has the flag now. */
bool folderflag_settle(int folder);
