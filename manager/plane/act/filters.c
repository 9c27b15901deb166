// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/filters.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <string.h>
#include <unistd.h>

#include "plane/kernel/cgroup.h"
#include "util/macro.h"

#define PROGRAMS_MAX 64

static bool is_above(const char *cgroup, const char *other)
{
	size_t length = strlen(cgroup);

	return !strncmp(cgroup, other, length) && (!other[length] || other[length] == '/');
}

/* Whether somebody's program is called there. */
static bool has_others(const struct own *own, int cgroup_fd, enum bpf_attach_type type)
{
	uint32_t ids[PROGRAMS_MAX], n = ARRAY_SIZE(ids);

	if (bpf_prog_query(cgroup_fd, type, 0, NULL, ids, &n))
		return errno == ENOSPC;
	for (uint32_t i = 0; i < n; i++)
		if (!own || !own_has_program(own, ids[i]))
			return true;
	return false;
}

/* 1 = somebody's programs are called there. */
static int look_at(const struct own *own, const char *cgroup)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = cgroup_open(cgroup, &fd);

	if (r < 0)
		return r;
	return has_others(own, fd, BPF_CGROUP_INET_INGRESS) ||
	       has_others(own, fd, BPF_CGROUP_INET_EGRESS);
}

static void add_all(struct filters *filters, const char *cgroup, const char *ours)
{
	char path[PATH_MAX];

	strcpy(path, cgroup);
	while (path[0] == '/' && path[1] && !is_above(path, ours)) {
		filters_add_unit(filters, strrchr(path, '/') + 1);
		*strrchr(path, '/') = '\0';
	}
}

int filters_add(struct filters *filters, const struct own *own, const char *cgroup)
{
	char path[PATH_MAX], ours[PATH_MAX] = "";
	int r = cgroup_of_process(getpid(), ours);

	if (r < 0 || strlen(cgroup) >= sizeof(path))
		return r < 0 ? r : -ENAMETOOLONG;
	strcpy(path, cgroup);
	while (!r && path[0] == '/' && path[1] && !is_above(path, ours)) {
		r = look_at(own, path);
		*strrchr(path, '/') = '\0';
	}
	if (r > 0)
		add_all(filters, cgroup, ours);
	return MIN(r, 0);
}

void filters_add_unit(struct filters *filters, const char *unit)
{
	for (size_t i = 0; i < filters->n; i++)
		if (!strcmp(filters->units[i], unit))
			return;
	if (filters->n < FILTERS_MAX && strlen(unit) < UNIT_NAME_MAX)
		strcpy(filters->units[filters->n++], unit);
}
