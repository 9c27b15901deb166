// SPDX-License-Identifier: GPL-2.0-or-later
#include "hsctl/setup/plainpaths.h"

#include <string.h>

#include "core/path.h"
#include "hsctl/json.h"
#include "hsctl/path/pathdetect.h"
#include "util/clock.h"
#include "util/macro.h"

/* All sockets of the machine are gone through. */
#define PATIENCE (10 * USEC_PER_SEC)

void plainpaths_find(const char *cgroup, const struct pathlist *paths, struct plainpaths *ret_paths,
		     char ret_other[HS_PATH_MAX])
{
	struct plainpaths found = {0};
	size_t n = 0, kept = 0;

	ret_other[0] = '\0';
	if (cgroup[0])
		(void)pathdetect_held(cgroup, &found.listeners, &n);
	for (size_t i = 0; i < n; i++) {
		struct unix_listener *one = &found.listeners[i];

		path_shorten(one->name);
		if (pathlist_has(paths, one->name))
			found.listeners[kept++] = *one;
		else if (one->name[0] == '/')
			memcpy(ret_other, one->name, HS_PATH_MAX);
	}
	found.n = kept;
	*ret_paths = found;
}

void plainpaths_done(struct plainpaths *paths)
{
	free(paths->listeners);
	*paths = (struct plainpaths) {0};
}

static bool is_served(json_object *listeners, const char *path)
{
	for (size_t i = 0; i < json_count(listeners); i++) {
		json_object *one = json_object_array_get_idx(listeners, i);

		if (!strcmp(json_text(one, "protocol"), "unix") &&
		    !strcmp(json_text(one, "address"), path))
			return true;
	}
	return false;
}

const char *plainpaths_missing(const struct plainpaths *paths, json_object *status)
{
	json_object *listeners = json_array(status, "listeners");

	for (size_t i = 0; i < paths->n; i++)
		if (!is_served(listeners, paths->listeners[i].name))
			return paths->listeners[i].name;
	return NULL;
}

size_t plainpaths_left(const struct plainpaths *paths)
{
	_cleanup_(freep) struct unix_file *files = calloc(paths->n + 1, sizeof(*files));
	_cleanup_(freep) uint64_t *open = calloc(paths->n + 1, sizeof(*open));
	struct unix_listener now;
	bool unknown = false;
	size_t left = 0;
	int r;

	if (!files || !open || !paths->n)
		return 0;
	for (size_t i = 0; i < paths->n; i++) {
		const struct unix_listener *one = &paths->listeners[i];

		files[i] = one->file;
		r = unixdiag_get(one->inode, one->cookie, &now);
		if (!r)
			left += now.queued;
		else if (r != -ENOENT)
			unknown = true;
	}
	if (unixdiag_connections(files, paths->n, PATIENCE, open) < 0)
		unknown = true;
	for (size_t i = 0; i < paths->n; i++)
		left += open[i];
	return MAX(left, (size_t)unknown);
}
