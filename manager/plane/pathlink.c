// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/pathlink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plane/path/activelink.h"
#include "util/macro.h"

static unsigned active_of(const struct plane *plane)
{
	return hs_word_active(plane_word(plane));
}

static bool has_paths(const struct plane *plane)
{
	return plane_paths(plane)->entries && active_of(plane) < HS_SLOTS_MAX;
}

bool pathlink_is_right(const struct plane *plane)
{
	unsigned slot;

	return !has_paths(plane) ||
	       (!activelink_read(plane_service(plane), &slot) && slot == active_of(plane));
}

static bool is_public(const char *service, const char *path)
{
	char target[PATH_FILE_MAX], text[PATH_FILE_MAX];
	ssize_t n = readlink(path, text, sizeof(text));

	path_of_active(service, path, target);
	if (n < 0)
		return errno != ENOENT && errno != EINVAL && errno != ENOTDIR;
	return n == (ssize_t)strlen(target) && !memcmp(text, target, n);
}

/* One that is not there, or not for us to see, is not watched. */
static void watch_folder(const char *path, struct pathlink_watches *watches)
{
	char folder[HS_PATH_MAX];
	int watch;

	path_folder(path, folder);
	watch = inotify_add_watch(watches->fd, folder, watches->changes);
	if (watch >= 0)
		watches->watches[watches->n++] = watch;
}

const char *pathlink_find_wrong(const struct plane *plane, struct pathlink_watches *watches)
{
	const char *live[HS_PATHS_MAX], *wrong = NULL;
	unsigned n = paths_live(plane_paths(plane), live);

	for (unsigned i = 0; i < n; i++) {
		if (watches)
			watch_folder(live[i], watches);
		if (!wrong && !is_public(plane_service(plane), live[i]))
			wrong = live[i];
	}
	return wrong;
}

static bool is_held(const char *path)
{
	char folder[HS_PATH_MAX];
	struct statx status;

	path_folder(path, folder);
	return !statx(AT_FDCWD, folder, AT_SYMLINK_NOFOLLOW, 0, &status) &&
	       status.stx_attributes & STATX_ATTR_APPEND;
}

const char *pathlink_find_held(const struct plane *plane)
{
	const char *live[HS_PATHS_MAX];
	unsigned n = paths_live(plane_paths(plane), live);

	for (unsigned i = 0; i < n; i++)
		if (is_held(live[i]))
			return live[i];
	return NULL;
}

void pathlink_describe_wrong(const struct plane *plane, const char *path,
			     struct problem *ret_sentence)
{
	problem_set(ret_sentence, 0,
		    "%s is no link to its slots, as somebody has removed or replaced it, so no "
		    "client reaches them there; hsd makes it anew, and so does: hsctl adopt "
		    "%s@%u.service",
		    path, plane_service(plane), active_of(plane));
}

void pathlink_describe(const struct plane *plane, struct problem *ret_sentence)
{
	const char *service = plane_service(plane);
	unsigned slot = HS_SLOT_NONE;
	int r;

	if (!has_paths(plane))
		return;
	r = activelink_read(service, &slot);
	if (r < 0)
		problem_set(ret_sentence, 0,
			    "the link " PATH_ROOT "/%s/" PATH_ACTIVE
			    " cannot be read (%s), so its paths lead nowhere; a restart of a slot "
			    "makes it anew: systemctl restart %s@%u",
			    service, strerror(-r), service, active_of(plane));
	else if (slot != active_of(plane))
		problem_set(
			ret_sentence, 0,
			"its paths lead to slot %u, not to the active slot %u: the link " PATH_ROOT
			"/%s/" PATH_ACTIVE " could not be changed; can hsd write there?",
			slot, active_of(plane), service);
}
