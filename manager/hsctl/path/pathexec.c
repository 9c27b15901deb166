// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/path/pathexec.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "core/path.h"
#include "util/macro.h"

static void slot_folder(const char *service, unsigned slot, char text[PATH_FILE_MAX])
{
	snprintf(text, PATH_FILE_MAX, PATH_ROOT "/%s/%u", service, slot);
}

/* connect(2) is an access to the file: here each one is noted, whatever the machine's own mount of
 * it does. */
static void note_each_access(const char *folder)
{
	if (!mount(folder, folder, NULL, MS_BIND | MS_REC, NULL))
		(void)mount(NULL, folder, NULL, MS_REMOUNT | MS_BIND | MS_STRICTATIME, NULL);
}

/* The public path leads to whichever slot is active, now or later: in each of their places is the
 * one that is meant. */
static int cover_others(const char *service, unsigned slot)
{
	char meant[PATH_FILE_MAX], other[PATH_FILE_MAX];

	slot_folder(service, slot, meant);
	note_each_access(meant);
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

void pathexec_note(const char *service, unsigned slot, const struct config *config,
		   struct pathexec_mark *ret_mark)
{
	char file[PATH_FILE_MAX];
	struct statvfs mounted;
	struct stat st;

	*ret_mark = (struct pathexec_mark) {0};
	for (unsigned i = 0; i < config->n_paths; i++) {
		path_of_slot(service, slot, config->paths[i], file);
		if (stat(file, &st) < 0 || statvfs(file, &mounted) < 0 ||
		    mounted.f_flag & (ST_NOATIME | ST_RELATIME)) {
			ret_mark->n = 0;
			return;
		}
		ret_mark->connected[ret_mark->n++] = st.st_atim;
	}
}

bool pathexec_was_silent(const char *service, unsigned slot, const struct config *config,
			 const struct pathexec_mark *mark)
{
	struct pathexec_mark now;

	pathexec_note(service, slot, config, &now);
	return mark->n && now.n == mark->n &&
	       !memcmp(now.connected, mark->connected, now.n * sizeof(*now.connected));
}
