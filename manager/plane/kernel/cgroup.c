// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/kernel/cgroup.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "plane/kernel/program.h"
#include "util/macro.h"

/* Units nest a few levels (Delegate=); deeper trees are not servers of ours. */
#define DEPTH_MAX 8
/* How many there are may be the instance's choice (Delegate=). */
#define FOLDERS_MAX 4096
/* Programs that others may have on the cgroup as well. */
#define ATTACHED_MAX 64

static int find_mount(char *path, size_t size)
{
	_cleanup_(fclosep) FILE *mounts = fopen("/proc/self/mountinfo", "re");
	_cleanup_(freep) char *line = NULL;
	char point[PATH_MAX];
	size_t room = 0;

	if (!mounts)
		return -errno;
	while (getline(&line, &room, mounts) > 0) {
		/* id parent major:minor root point options... - type source superoptions */
		if (!strstr(line, " - cgroup2 "))
			continue;
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1 || strlen(point) >= size)
			continue;
		strcpy(path, point);
		return 0;
	}
	return -ENOENT;
}

int cgroup_mount(char *path, size_t size)
{
	static char found[PATH_MAX];
	int r = found[0] ? 0 : find_mount(found, sizeof(found));

	if (r < 0)
		return r;
	return snprintf(path, size, "%s", found) < (int)size ? 0 : -ENOENT;
}

typedef int (*folder_fn)(const char *path, void *userdata);

struct walk {
	folder_fn each;
	void *userdata;
	unsigned left; /* folders that may still come */
	bool passes;   /* over folders that we may not open, with what is below them */
};

static int walk(const char *path, unsigned depth, struct walk *rest)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *entry;
	char below[PATH_MAX];
	int r = rest->left-- ? rest->each(path, rest->userdata) : -E2BIG;

	if (r)
		return r;
	dir = opendir(path);
	if (!dir)
		return rest->passes && errno == EACCES ? 0 : -errno;
	while (!r && depth && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) >=
		    (int)sizeof(below))
			continue;
		r = walk(below, depth - 1, rest);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

static int walk_cgroup(const char *cgroup, folder_fn each, void *userdata)
{
	struct walk rest = {each, userdata, FOLDERS_MAX, false};
	char mount[PATH_MAX], path[2 * PATH_MAX];
	int r;

	if (!cgroup || cgroup[0] != '/' || !cgroup[1])
		return -ENOENT;
	r = cgroup_mount(mount, sizeof(mount));
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s%s", mount, cgroup);
	return walk(path, DEPTH_MAX, &rest);
}

struct process_walk {
	int (*each)(pid_t pid, void *userdata);
	void *userdata;
};

static int each_process_in(const char *folder, void *userdata)
{
	const struct process_walk *processes = userdata;
	_cleanup_(fclosep) FILE *file = NULL;
	char path[PATH_MAX + 16];
	int pid, r = 0;

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	while (!r && fscanf(file, "%d", &pid) == 1)
		if (pid > 0) /* 0 = a process outside our pid namespace */
			r = processes->each(pid, processes->userdata);
	return r;
}

int cgroup_each_process(const char *cgroup, int (*each)(pid_t pid, void *userdata), void *userdata)
{
	struct process_walk processes = {.each = each, .userdata = userdata};

	return walk_cgroup(cgroup, each_process_in, &processes);
}

static int compare_id(const char *folder, void *userdata)
{
	struct stat st;

	/* the inode number of a cgroup2 folder is the cgroup's id */
	return stat(folder, &st) == 0 && st.st_ino == *(const uint64_t *)userdata;
}

bool cgroup_contains(const char *cgroup, uint64_t id)
{
	return walk_cgroup(cgroup, compare_id, &id) > 0;
}

int cgroup_id(const char *cgroup, uint64_t *ret_id)
{
	char mount[PATH_MAX], path[2 * PATH_MAX];
	struct stat st;
	int r = cgroup_mount(mount, sizeof(mount));

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s%s", mount, cgroup);
	if (stat(path, &st) < 0)
		return -errno;
	*ret_id = st.st_ino;
	return 0;
}

struct id_list {
	uint64_t *ids;
	size_t n, room;
};

static int add_id(const char *folder, void *userdata)
{
	struct id_list *list = userdata;
	struct stat st;

	if (stat(folder, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (list->n == list->room)
		return -E2BIG;
	list->ids[list->n++] = st.st_ino;
	return 0;
}

int cgroup_ids(const char *cgroup, uint64_t *ids, size_t room, size_t *ret_n)
{
	struct id_list list = {.ids = ids, .room = room};
	int r = walk_cgroup(cgroup, add_id, &list);

	*ret_n = list.n;
	return r;
}

struct search {
	uint64_t id;
	char path[PATH_MAX];
};

static int compare_and_keep(const char *folder, void *userdata)
{
	struct search *search = userdata;
	struct stat st;

	if (stat(folder, &st) < 0 || st.st_ino != search->id)
		return 0;
	snprintf(search->path, sizeof(search->path), "%s", folder);
	return 1;
}

int cgroup_find(uint64_t id, char cgroup[PATH_MAX])
{
	struct search search = {.id = id};
	struct walk all = {compare_and_keep, &search, UINT_MAX, true};
	char mount[PATH_MAX];
	int r = cgroup_mount(mount, sizeof(mount));

	if (r < 0)
		return r;
	r = walk(mount, DEPTH_MAX, &all);
	if (r <= 0)
		return r ? r : -ENOENT;
	snprintf(cgroup, PATH_MAX, "%s", search.path + strlen(mount));
	return 0;
}

bool cgroup_is_populated(const char *cgroup)
{
	_cleanup_(fclosep) FILE *file = NULL;
	char mount[PATH_MAX], path[2 * PATH_MAX], line[64];

	if (cgroup_mount(mount, sizeof(mount)) < 0)
		return false;
	snprintf(path, sizeof(path), "%s%s/cgroup.events", mount, cgroup);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (!strcmp(line, "populated 1\n"))
			return true;
	return false;
}

int cgroup_of_process(pid_t pid, char cgroup[PATH_MAX])
{
	_cleanup_(fclosep) FILE *file = NULL;
	_cleanup_(freep) char *line = NULL;
	char path[64];
	size_t room = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	file = fopen(path, "re");
	while (file && (n = getline(&line, &room, file)) > 0) {
		if (strncmp(line, "0::", 3) || n - 3 > PATH_MAX)
			continue;
		line[n - 1] = '\0';
		strcpy(cgroup, line + 3);
		return 0;
	}
	return -ESRCH;
}

bool cgroup_has_process(const char *cgroup, pid_t pid)
{
	_cleanup_(freep) char *line = NULL;
	_cleanup_(fclosep) FILE *file = NULL;
	size_t room = 0, length = strlen(cgroup);
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	file = fopen(path, "re");
	/* the line of cgroup2, beside which there may be those of version 1 */
	while (file && getline(&line, &room, file) > 0)
		if (!strncmp(line, "0::", 3))
			return length > 1 && !strncmp(line + 3, cgroup, length) &&
			       (line[3 + length] == '/' || line[3 + length] == '\n');
	return false;
}

int cgroup_open(const char *cgroup, int *ret_fd)
{
	char mount[PATH_MAX], path[2 * PATH_MAX];
	int fd, r;

	if (!cgroup || cgroup[0] != '/' || !cgroup[1])
		return -ENOENT;
	r = cgroup_mount(mount, sizeof(mount));
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s%s", mount, cgroup);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int cgroup_has_program(int cgroup_fd, int type, int program_fd)
{
	uint32_t ids[ATTACHED_MAX], n = ARRAY_SIZE(ids), id = 0;
	int r = program_id(program_fd, &id);

	if (r < 0)
		return r;
	if (bpf_prog_query(cgroup_fd, type, 0, NULL, ids, &n))
		return -errno;
	for (uint32_t i = 0; i < n; i++)
		if (ids[i] == id)
			return 1;
	return 0;
}

struct attached_walk {
	const int *types;
	size_t n_types;
	cgroup_program_fn each;
	void *userdata;
};

static int each_of_type(int fd, int type, const struct attached_walk *walk)
{
	uint32_t ids[ATTACHED_MAX], n = ARRAY_SIZE(ids);
	int r = 0;

	/* none of this type can be attached, say */
	if (bpf_prog_query(fd, type, 0, NULL, ids, &n))
		return 0;
	for (uint32_t i = 0; !r && i < n; i++)
		r = walk->each(fd, type, ids[i], walk->userdata);
	return r;
}

static int each_attached(const char *folder, void *userdata)
{
	const struct attached_walk *walk = userdata;
	_cleanup_(close_fdp) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return errno == EACCES || errno == ENOENT ? 0 : -errno;
	for (size_t i = 0; !r && i < walk->n_types; i++)
		r = each_of_type(fd, walk->types[i], walk);
	return r;
}

int cgroup_each_program(const int *types, size_t n_types, cgroup_program_fn each, void *userdata)
{
	struct attached_walk attached = {types, n_types, each, userdata};
	struct walk all = {each_attached, &attached, UINT_MAX, true};
	char mount[PATH_MAX];
	int r = cgroup_mount(mount, sizeof(mount));

	return r ? r : walk(mount, DEPTH_MAX, &all);
}

int cgroup_replace_program(int cgroup_fd, int type, int program_fd, int to_fd)
{
	LIBBPF_OPTS(bpf_prog_attach_opts, opts, .flags = BPF_F_ALLOW_MULTI | BPF_F_REPLACE,
		    .replace_prog_fd = program_fd);

	if (to_fd < 0)
		return bpf_prog_detach2(program_fd, cgroup_fd, type) ? -errno : 0;
	return bpf_prog_attach_opts(to_fd, cgroup_fd, type, &opts) ? -errno : 0;
}
