// SPDX-License-Identifier: GPL-2.0-or-later
#include "system/pathexec.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#include "core/path.h"
#include "util/macro.h"

static void slot_folder(const char *service, unsigned slot, char text[PATH_FILE_MAX])
{
	snprintf(text, PATH_FILE_MAX, PATH_ROOT "/%s/%u", service, slot);
}

/* The public path leads to whichever slot is active, now or later: in each of their places is the
 * one that is meant. */
static int cover_others(const char *service, unsigned slot)
{
	char meant[PATH_FILE_MAX], other[PATH_FILE_MAX];

	slot_folder(service, slot, meant);
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++) {
		slot_folder(service, i, other);
		if (i != slot && mount(meant, other, NULL, MS_BIND | MS_REC, NULL) < 0 &&
		    errno != ENOENT)
			return -errno;
	}
	return 0;
}

int pathexec_enter(const char *service, unsigned slot, const struct config *config,
		   struct problem *problem)
{
	int r = 0;

	if (!config->n_paths)
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		r = -errno;
	if (!r)
		r = cover_others(service, slot);
	if (r == -EPERM)
		return problem_set(problem, r,
				   "only root can be led to a slot by %s; run it with sudo, or "
				   "connect to the slot's own file, below " PATH_ROOT "/%s/%u",
				   config->paths[0], service, slot);
	return r < 0 ? problem_set(problem, r, "%s cannot be made to lead to slot %u: %s",
				   config->paths[0], slot, strerror(-r))
		     : 0;
}
