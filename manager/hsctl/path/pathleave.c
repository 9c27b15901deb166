// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/path/pathleave.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "core/path.h"
#include "core/setup/dropin.h"
#include "hsctl/path/folderflag.h"
#include "hsctl/path/pathsetup.h"
#include "plane/path/activelink.h"
#include "plane/path/unixdiag.h"
#include "system/unit/unitload.h"
#include "system/unit/units.h"
#include "util/files.h"
#include "util/macro.h"

/* What instances make in their folders is their choice. */
#define DEPTH_MAX 16
#define JOB_USEC  (10 * USEC_PER_SEC)

/* ---- who serves ---- */

static bool serves(const char *service, unsigned slot, const struct pathlist *paths)
{
	char file[PATH_FILE_MAX];

	for (unsigned i = 0; i < paths->n; i++) {
		_cleanup_(close_fdp) int fd = -1;

		path_of_slot(service, slot, paths->paths[i], file);
		fd = open(file, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && unixdiag_is_listened_at(fd))
			return true;
	}
	return false;
}

/* HS_SLOT_NONE: no other one. */
static unsigned other_that_serves(const char *service, unsigned slot, const struct pathlist *paths)
{
	for (unsigned i = 0; i < HS_SLOTS_MAX; i++)
		if (i != slot && serves(service, i, paths))
			return i;
	return HS_SLOT_NONE;
}

/* ---- the end ---- */

/* Links are removed and not followed. */
static void remove_tree(int parent, const char *name, unsigned depth)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	const struct dirent *entry;
	int fd;

	if (!unlinkat(parent, name, 0) || errno != EISDIR)
		return;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close_fd(fd);
	while (dir && depth && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			remove_tree(dirfd(dir), entry->d_name, depth - 1);
	unlinkat(parent, name, AT_REMOVEDIR);
}

static void remove_link(const char *service, const char *path)
{
	char folder[HS_PATH_MAX], target[PATH_FILE_MAX], text[PATH_FILE_MAX];
	_cleanup_(close_fdp) int fd = -1;
	ssize_t n;

	path_folder(path, folder);
	path_of_active(service, path, target);
	fd = pathsetup_open_public(folder);
	if (fd >= 0)
		folderflag_settle(fd);
	n = fd < 0 ? -1 : readlinkat(fd, path_base(path), text, sizeof(text));
	/* what somebody else has put there is theirs */
	if (n == (ssize_t)strlen(target) && !memcmp(text, target, n))
		unlinkat(fd, path_base(path), 0);
}

static void clear_up(const char *service, const struct pathlist *paths)
{
	_cleanup_(close_fdp) int root =
		open(PATH_ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	for (unsigned i = 0; i < paths->n; i++)
		remove_link(service, paths->paths[i]);
	if (root >= 0)
		remove_tree(root, service, DEPTH_MAX);
}

int pathleave_slot(const char *service, unsigned slot, const struct pathlist *paths,
		   struct problem *problem)
{
	unsigned active = HS_SLOT_NONE, other;
	int r = pathsetup_enter_machine(problem);

	if (r < 0)
		return r;
	other = other_that_serves(service, slot, paths);
	if (other == HS_SLOT_NONE && slot < HS_SLOTS_MAX && serves(service, slot, paths))
		return 1;
	if (other == HS_SLOT_NONE) {
		clear_up(service, paths);
		return 0;
	}
	(void)activelink_read(service, &active);
	r = active == slot ? activelink_point(service, other) : 0;
	return r < 0 ? problem_set(problem, r, "%s: its paths cannot be led to slot %u: %s",
				   service, other, strerror(-r))
		     : 1;
}

/* ---- the folders of the paths ---- */

static char *prepared_folder(const char *service)
{
	return format("/run/systemd/system/%s@.service.d", service);
}

int pathleave_prepare(const char *service, struct problem *problem)
{
	_cleanup_(freep) char *folder = prepared_folder(service);
	_cleanup_(freep) char *path = format("%s/" DROPIN_NAME, folder ?: "");
	int r = folder && path ? make_folders(folder, 0755) : -ENOMEM;

	if (r >= 0)
		r = file_write(path,
			       "# Its paths lead to an instance that runs until none does.\n"
			       "[Service]\n"
			       "RuntimeDirectoryPreserve=yes\n",
			       0644);
	return r < 0 ? problem_set(problem, r, "%s cannot be written: %s", path ?: "", strerror(-r))
		     : 0;
}

static void forget_prepared(sd_bus *bus, const char *service)
{
	_cleanup_(freep) char *folder = prepared_folder(service);
	_cleanup_(freep) char *path = format("%s/" DROPIN_NAME, folder ?: "");

	if (!folder || !path || unlink(path) < 0)
		return;
	(void)rmdir(folder);
	/* it waits for the jobs that there are, of which ours is one */
	unitload_anew_later(bus);
}

/* ---- the units that see to it ---- */

static char *join_paths(const struct pathlist *paths)
{
	char *text = strdup("--path=");

	for (unsigned i = 0; text && i < paths->n; i++) {
		_cleanup_(freep) char *before = text;

		text = format("%s%s%s", before, i ? "," : "", paths->paths[i]);
	}
	return text;
}

static bool follower_name(const char *service, unsigned slot, bool after, char name[UNIT_NAME_MAX])
{
	return snprintf(name, UNIT_NAME_MAX, "hotstandby-%s-%s-%u.service",
			after ? "cleared" : "paths", service, slot) < UNIT_NAME_MAX;
}

void pathleave_end(sd_bus *bus, const char *service)
{
	char name[UNIT_NAME_MAX];

	forget_prepared(bus, service);
	for (unsigned i = 0; i < 2 * HS_SLOTS_MAX; i++)
		if (follower_name(service, i / 2, i % 2, name))
			units_end_follower(bus, name);
}

/* `after`: it ends when the slot's unit has ended, else before. */
static int follow(sd_bus *bus, const char *service, unsigned slot, const struct pathlist *paths,
		  bool after, struct problem *problem)
{
	_cleanup_(freep) char *option = join_paths(paths);
	_cleanup_(freep) char *folder = format(PATH_ROOT "/%s", service);
	char name[UNIT_NAME_MAX], unit[UNIT_NAME_MAX];
	const char *argv[] = {HS_PREFIX "/bin/hsctl", "leave", option, "--", unit, NULL};
	struct unit_follower order = {
		.name = name,
		.description = "hotstandby links of paths",
		.follows = unit,
		.after = after,
		.while_there = folder,
		.argv = argv,
	};

	if (!option || !folder)
		return -ENOMEM;
	if (!follower_name(service, slot, after, name))
		return -ENAMETOOLONG;
	(void)name_unit(service, slot, unit, sizeof(unit));
	return units_run_follower(bus, &order, JOB_USEC, problem);
}

int pathleave_begin(sd_bus *bus, const char *service, const struct pathlist *paths,
		    unsigned running, struct problem *problem)
{
	int r = 0;

	if (!paths->n)
		return 0;
	for (unsigned slot = 0; r >= 0 && slot < HS_SLOTS_MAX; slot++) {
		if (!(running & (1U << slot)))
			continue;
		r = follow(bus, service, slot, paths, false, problem);
		if (r >= 0)
			r = follow(bus, service, slot, paths, true, problem);
	}
	if (running || r < 0)
		return r;
	return pathleave_slot(service, HS_SLOT_NONE, paths, problem);
}
