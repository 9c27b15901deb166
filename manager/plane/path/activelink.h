/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The link below PATH_ROOT by which all public paths of a service lead to one slot (core/path.h).
 * It follows the routing word, whoever changes that; who finds it behind, because somebody ended
 * between the two, puts it right. It is state on disk: no process has to run for it.
 */
#pragma once

#include <stdint.h>

#include "core/path.h"

/* The slot that the link of this service names. -ENOENT: there is no link; -EINVAL: it is none of
 * ours. */
int activelink_read(const char *service, unsigned *ret_slot);

/* Makes it name that slot, of a service without a routing word. */
int activelink_point(const char *service, unsigned slot);

/* Makes it lead to the active slot of the word, by one rename(2), unless it does already or there
 * is none. Somebody else may change the word meanwhile: then it leads to where that one wanted. */
int activelink_follow(const char *service, const __u64 *word);
