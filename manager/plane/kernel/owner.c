// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/kernel/owner.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plane/kernel/cgroup.h"
#include "util/files.h"
#include "util/macro.h"

/* Start time of a process, field 22 of its stat: the name in field 2 may contain anything. */
static int start_time(pid_t pid, uint64_t *ret_ticks)
{
	char path[64], text[1024] = "";
	_cleanup_(fclosep) FILE *file = NULL;
	unsigned long long ticks;
	const char *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file || !fread(text, 1, sizeof(text) - 1, file))
		return -ESRCH;
	end = strrchr(text, ')');
	if (!end || sscanf(end + 1,
			   " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			   "%*s %*s %llu",
			   &ticks) != 1)
		return -ESRCH;
	*ret_ticks = ticks;
	return 0;
}

int owner_of_process(pid_t pid, struct hs_preview_owner_id *ret_owner)
{
	uint64_t ticks;
	int r;

	if (!pid)
		pid = getpid();
	r = start_time(pid, &ticks);
	if (r < 0)
		return r;
	*ret_owner = (struct hs_preview_owner_id) {
		.kind = HS_PREVIEW_PROCESS,
		.id = (uint64_t)pid << 32 | (uint32_t)ticks,
	};
	return 0;
}

int owner_of_cgroup(const char *cgroup, struct hs_preview_owner_id *ret_owner)
{
	uint64_t id;
	int r = cgroup_id(cgroup, &id);

	if (r < 0)
		return r;
	*ret_owner = (struct hs_preview_owner_id) {.kind = HS_PREVIEW_CGROUP, .id = id};
	return 0;
}

bool owner_lives(const struct hs_preview_owner_id *owner)
{
	struct hs_preview_owner_id now;
	char path[PATH_MAX];

	switch (owner->kind) {
	case HS_PREVIEW_PROCESS:
		return !owner_of_process((pid_t)(owner->id >> 32), &now) && now.id == owner->id;
	case HS_PREVIEW_CGROUP:
		/* without a process nobody can make a socket there */
		return !cgroup_find(owner->id, path) && cgroup_is_populated(path);
	default:
		return false;
	}
}

bool owner_equal(const struct hs_preview_owner_id *a, const struct hs_preview_owner_id *b)
{
	return a->kind == b->kind && a->id == b->id;
}
