/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which file a setting comes from: one before our drop-in, ours, or one that is read later. Pure.
 */
#pragma once

#include <stdbool.h>

#include "core/config/ini.h"

/* Sorts behind other drop-ins, so that ours is read last and sees their ExecStop= lines. */
#define DROPIN_NAME "zz-hotstandby.conf"

/* True if this drop-in is read after ours, so that we do not see what it sets: in a folder "*.d",
 * with a name that sorts behind DROPIN_NAME. */
bool dropin_is_later(const char *path);

/* True if this is a drop-in of ours, whatever the folder. */
bool dropin_is_ours(const char *path);

/* The ExecStop= lines, or those of another list, that hold where our drop-in is read: an empty one
 * resets, ours and later files do not count. Free with strings_free(); NULL if there is none. */
int dropin_effective(const struct assignments *list, const char *section, const char *key,
		     char ***ret_values);
