/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of core/path.h has to be made outside of the folder that hsd may write to, or for others
 * than root: by hsctl, as root, in the machine's own mount namespace, whatever the unit that it is
 * a command of has mounted over it. Again is no harm.
 */
#pragma once

#include "core/config/config.h"
#include "util/problem.h"

/* Before an instance runs: its folders, each with owner, mode and label of the one that it stands
 * for. Those that are there are left as they are. */
int pathsetup_folders(const char *service, unsigned slot, const struct config *config,
		      struct problem *problem);

/* Before and after: each public path becomes the link to the active slot's socket, in one step, and
 * what listens there goes on with what it has. As long as no slot has a socket, a path at which
 * somebody else listens is left to him. Returns how many links are new. */
int pathsetup_links(const char *service, const struct config *config, struct problem *problem);

/*
 * A server that was at the paths before goes on behind the links with sockets that nobody finds
 * any more: with _keep(), before the first link, they have another name in the same folder. Then
 * either _back() gives them the paths again, in one step, or _drop() removes that name. What is no
 * socket, or was not kept, is left as it is.
 */
int pathsetup_keep(const struct config *config, struct problem *problem);
/* For a process that is in the machine's mount namespace. */
int pathsetup_back(const struct config *config, struct problem *problem);
int pathsetup_drop(const struct config *config, struct problem *problem);

/* What a holder (hsctl/path/pathhold.h) that was killed has left on the folders of the paths is
 * taken off. All of the above do so as well. */
int pathsetup_settle(const struct config *config, struct problem *problem);

/* For what is done in a process of its own: from now on it is in the machine's mount namespace. */
int pathsetup_enter_machine(struct problem *problem);
/* The folder of a public path (O_PATH). Whoever owns a folder on the way could lead us elsewhere by
 * a link: -ELOOP. */
int pathsetup_open_public(const char *folder);
