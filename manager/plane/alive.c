// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/alive.h"

#include <inttypes.h>
#include <string.h>

#include "plane/cgroup.h"
#include "util/macro.h"

static void add_thread(pid_t pid, const char *thread, uint64_t *sleeps)
{
	_cleanup_(fclosep) FILE *file = NULL;
	char path[64], line[256];
	uint64_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", pid, thread);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &n) == 1)
			*sleeps += n;
}

/* One that ends meanwhile is passed over. */
static int add_process(pid_t pid, void *userdata)
{
	_cleanup_(closedirp) DIR *threads = NULL;
	const struct dirent *entry;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	while (threads && (entry = readdir(threads)))
		if (entry->d_name[0] != '.')
			add_thread(pid, entry->d_name, userdata);
	return 0;
}

int alive_sleeps(const char *cgroup, uint64_t *ret_sleeps)
{
	uint64_t sleeps = 0;
	int r = cgroup_each_process(cgroup, add_process, &sleeps);

	if (r < 0)
		return r;
	*ret_sleeps = sleeps;
	return 0;
}
