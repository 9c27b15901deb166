/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a service's server listens by AF_UNIX, or will: from what its unit starts, the
 * configuration that this names, and what runs already. For `hsctl enable`. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "core/setup/lint.h"
#include "core/setup/pathfind.h"
#include "plane/path/unixdiag.h"

/* What the unit's command line says, and the files that it names. */
void pathdetect_unit(const struct lint_unit *unit, const char *service, struct pathlist *list);

/* What the instances of the template listen at that run, and the plain unit of the same name: names
 * that lead to what they listen on, on the machine or in the folder of their slot. The name of a
 * socket is what the instance has said, perhaps in a mount namespace of its own. */
void pathdetect_running(sd_bus *bus, const char *service, unsigned n_slots, struct pathlist *list);

/* What the processes of this control group listen at, by the names that they have given. The caller
 * frees the array. */
int pathdetect_held(const char *cgroup, struct unix_listener **ret_listeners, size_t *ret_n);

/* Whether `name`, below the folder `root` (O_PATH), is the file that this one listens on. */
bool pathdetect_leads_to(int root, const char *name, const struct unix_listener *listener);

/* Whether in the folder of the path there is something else than sockets and what a server writes
 * about its process; and what. */
bool pathdetect_other_file(const char *path, char ret_name[NAME_MAX + 1]);
/* Whether there is another name for the socket in its folder, which is not ours; and which. One
 * that leads nowhere counts: the server may be down. */
bool pathdetect_other_name(const char *path, char ret_name[NAME_MAX + 1]);
