// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/kernel/holder.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plane/kernel/descriptors.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/parse.h"
#include "util/text.h"

struct search {
	const uint32_t *inodes;
	size_t n;
	int (*each)(const struct holder *holder, void *userdata);
	void *userdata;
	struct descriptor_cost cost;
};

static bool ends_with(const char *text, size_t length, const char *tail)
{
	size_t n = strlen(tail);

	return length > n && !memcmp(text + length - n, tail, n);
}

void holder_unit(const char *cgroup, char unit[UNIT_NAME_MAX])
{
	unit[0] = '\0';
	for (const char *part = cgroup + strspn(cgroup, "/"); *part; part += strspn(part, "/")) {
		size_t length = strcspn(part, "/");

		if (ends_with(part, length, ".service") || ends_with(part, length, ".scope") ||
		    ends_with(part, length, ".socket")) {
			snprintf(unit, UNIT_NAME_MAX, "%.*s", (int)length, part);
			/* who has a group delegated gives it any name */
			text_to_ascii(unit);
			return;
		}
		part += length;
	}
}

static void read_unit(struct holder *holder)
{
	_cleanup_(fclosep) FILE *file = NULL;
	char path[40], line[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", holder->pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "0::", 3))
			holder_unit(line + 3, holder->unit);
	}
}

void holder_read_comm(struct holder *holder)
{
	_cleanup_(fclosep) FILE *file = NULL;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/comm", holder->pid);
	file = fopen(path, "re");
	if (!file || !fgets(holder->comm, sizeof(holder->comm), file))
		holder->comm[0] = '\0';
	holder->comm[strcspn(holder->comm, "\n")] = '\0';
	text_to_ascii(holder->comm);
}

static bool is_wanted(const struct search *search, uint32_t inode)
{
	for (size_t i = 0; inode && i < search->n; i++)
		if (search->inodes[i] == inode)
			return true;
	return false;
}

static int tell(const struct search *search, struct holder *holder)
{
	if (!holder->comm[0]) {
		holder_read_comm(holder);
		read_unit(holder);
	}
	return search->each(holder, search->userdata);
}

static int search_process(struct search *search, pid_t pid)
{
	struct holder holder = {.pid = pid};
	_cleanup_(closedirp) DIR *dir = descriptors_open(pid);
	struct descriptor found;
	int r = 0;

	while (!r && dir && (r = descriptors_next(dir, &search->cost, &found)) > 0) {
		holder.inode = found.inode;
		holder.fd = found.fd;
		r = is_wanted(search, found.inode) ? tell(search, &holder) : 0;
	}
	return r;
}

int holder_each(const uint32_t *inodes, size_t n,
		int (*each)(const struct holder *holder, void *userdata), void *userdata)
{
	struct search search = {inodes, n, each, userdata, .cost.cpu_begun = cpu_usec()};
	_cleanup_(closedirp) DIR *dir = opendir("/proc");
	struct dirent *entry;
	uint64_t pid;
	int r = dir ? 0 : -errno;

	/* /proc is read in the order of pids */
	while (!r && dir && (entry = readdir(dir)))
		if (!parse_unsigned(entry->d_name, 1, INT32_MAX, &pid))
			r = search_process(&search, pid);
	return r;
}
