/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who makes rules for single connections: a process or a cgroup, named so that others can see
 * whether it lives, and no other is ever named alike. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "hs_abi.h"

/* pid 0 = the caller. -ESRCH. */
int owner_of_process(pid_t pid, struct hs_preview_owner_id *ret_owner);
/* `cgroup` as systemd names it: "/system.slice/x.scope". -ENOENT. */
int owner_of_cgroup(const char *cgroup, struct hs_preview_owner_id *ret_owner);
bool owner_lives(const struct hs_preview_owner_id *owner);
bool owner_equal(const struct hs_preview_owner_id *a, const struct hs_preview_owner_id *b);
