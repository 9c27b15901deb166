// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/borrow/outdated.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "plane/borrow/lend.h"
#include "plane/kernel/cgroup.h"
#include "plane/kernel/descriptors.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/text.h"

/* A name that is taken away changes the number of its links, which is an attribute. Once: who may
 * change the file must not keep anybody busy. */
#define CHANGES (IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF | IN_ONESHOT)

struct tour {
	int inotify_fd;
	struct outdated_file *files;
	size_t n, n_watched;
	size_t n_processes;
	uint64_t cpu_begun;
};

static void tour_done(struct tour *tour)
{
	free(tour->files);
}

/* The end of a path, which says more than its beginning. */
static void set_path(struct outdated_file *file, const char *path)
{
	size_t length = strlen(path), room = sizeof(file->path) - 1;

	snprintf(file->path, sizeof(file->path), "%s", length > room ? path + length - room : path);
	text_tame(file->path);
}

static bool is_known(const struct tour *tour, const struct outdated_file *file)
{
	for (size_t i = tour->n; i-- > 0;)
		if (tour->files[i].gone == file->gone && !strcmp(tour->files[i].path, file->path))
			return true;
	return false;
}

/* What is in its place as the process sees it. The kernel's path of a file has no links, so none is
 * followed: one would lead out of the process's root, into ours. */
static int open_place(pid_t pid, const char *path)
{
	char name[PATH_MAX];
	int fd, flags = O_PATH | O_CLOEXEC | O_DIRECTORY;

	snprintf(name, sizeof(name), "/proc/%d/root", pid);
	fd = open(name, flags);
	while (fd >= 0 && *path) {
		_cleanup_(close_fdp) int folder = fd;
		size_t length = strcspn(++path, "/");

		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		path += length;
		fd = openat(folder, name, (*path ? flags : O_PATH | O_CLOEXEC) | O_NOFOLLOW);
	}
	return fd;
}

static int watch(struct tour *tour, int place)
{
	char name[32];

	if (tour->inotify_fd < 0 || place < 0 || tour->n_watched == OUTDATED_WATCHES_MAX)
		return -1;
	tour->n_watched++;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", place);
	return inotify_add_watch(tour->inotify_fd, name, CHANGES);
}

static void look_at_place(struct tour *tour, pid_t pid, const char *path,
			  struct outdated_file *file)
{
	_cleanup_(close_fdp) int place = open_place(pid, path);
	struct stat st;

	file->watch = file->gone ? -1 : watch(tour, place);
	file->removed = file->gone && (place < 0 || fstat(place, &st) < 0);
	if (file->gone && !file->removed)
		file->since_usec =
			st.st_ctim.tv_sec * USEC_PER_SEC + st.st_ctim.tv_nsec / NSEC_PER_USEC;
}

static int add_file(struct tour *tour, pid_t pid, const char *path, bool gone)
{
	struct outdated_file file = {.gone = gone};

	set_path(&file, path);
	if (is_known(tour, &file))
		return 0;
	if (tour->n == OUTDATED_FILES_MAX)
		return -E2BIG;
	look_at_place(tour, pid, path, &file);
	tour->files[tour->n++] = file;
	return 0;
}

/* Nobody opens a path that is longer than PATH_MAX, and a newline in one is written as four
 * characters: such a line is passed over, for its end may look like another. */
static bool is_whole(const char *line, FILE *maps)
{
	int c;

	if (strchr(line, '\n'))
		return true;
	while ((c = getc(maps)) != EOF && c != '\n')
		;
	return false;
}

static int read_maps(struct tour *tour, pid_t pid, FILE *maps)
{
	char line[PATH_MAX + 128], last[PATH_MAX + 128] = "";
	bool gone, last_gone = false;
	int r = 0;

	while (!r && fgets(line, sizeof(line), maps)) {
		const char *path = is_whole(line, maps) ? outdated_mapping(line, &gone) : NULL;

		/* the parts of a file stand together */
		if (!path || (gone == last_gone && !strcmp(path, last)))
			continue;
		r = add_file(tour, pid, path, gone);
		strcpy(last, path);
		last_gone = gone;
	}
	return r;
}

/* One that has ended meanwhile is passed over. */
static int look_process(pid_t pid, void *userdata)
{
	struct tour *tour = userdata;
	_cleanup_(fclosep) FILE *maps = NULL;
	char path[32];

	if (++tour->n_processes > LEND_PROCESSES_MAX ||
	    cpu_usec() - tour->cpu_begun > DESCRIPTORS_USEC_MAX)
		return -E2BIG;
	if (lend_is_manager(pid))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return errno == EACCES || errno == EPERM ? -errno : 0;
	return read_maps(tour, pid, maps);
}

int outdated_look(const char *cgroup, int inotify_fd, struct outdated_file **ret_files,
		  size_t *ret_n)
{
	_cleanup_(tour_done) struct tour tour = {
		.inotify_fd = inotify_fd,
		.files = calloc(OUTDATED_FILES_MAX, sizeof(*tour.files)),
		.cpu_begun = cpu_usec(),
	};
	int r;

	if (!tour.files)
		return -ENOMEM;
	r = cgroup_each_process(cgroup, look_process, &tour);
	/* what was replaced between the look at a file and the watch on it */
	if (!r && inotify_fd >= 0)
		r = cgroup_each_process(cgroup, look_process, &tour);
	if (r < 0)
		return r;
	*ret_n = tour.n;
	*ret_files = steal_ptr(&tour.files);
	return 0;
}
