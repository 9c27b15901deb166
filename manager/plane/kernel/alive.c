// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/kernel/alive.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "plane/kernel/cgroup.h"
#include "util/files.h"
#include "util/macro.h"
#include "util/strings.h"

/* How many processes and threads there are is the instance's choice. */
#define PROCESSES_MAX 256
#define THREADS_MAX   512

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

/* ---- what a control group tells of itself ---- */

/* The number behind `key ` at the beginning of a line. -ENOENT. */
static int read_key(const char *cgroup, const char *file, const char *key, uint64_t *ret_value)
{
	_cleanup_(freep) char *path = NULL, *text = NULL;
	char mount[PATH_MAX];
	size_t length = strlen(key);
	int r = cgroup && cgroup[0] == '/' ? cgroup_mount(mount, sizeof(mount)) : -ENOENT;

	if (r < 0)
		return r;
	path = format("%s%s/%s", mount, cgroup, file);
	r = path ? file_read(path, 4096, &text) : -ENOMEM;
	if (r < 0)
		return r;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, length) && line[length] == ' ')
			return sscanf(line + length, "%" SCNu64, ret_value) == 1 ? 0 : -EINVAL;
	}
	return -ENOENT;
}

int alive_cpu(const char *cgroup, uint64_t *ret_usec)
{
	return read_key(cgroup, "cpu.stat", "usage_usec", ret_usec);
}

/* ---- what they are at ---- */

/* The state of proc(5), a letter; 0: there is no such thread any more. `path`: its "stat". */
static char state_in(const char *path)
{
	_cleanup_(freep) char *text = NULL;
	const char *state;

	if (!path || file_read(path, 4096, &text) < 0)
		return 0;
	/* its name may have anything in it, and stands between these */
	state = strrchr(text, ')');
	return state && state[1] == ' ' ? state[2] : 0;
}

static enum halt halt_of(pid_t pid)
{
	_cleanup_(freep) char *path = format("/proc/%d/stat", (int)pid);
	char state = state_in(path);

	return state == 'T' ? HALT_STOPPED : state == 't' ? HALT_HELD : HALT_NONE;
}

struct work_search {
	unsigned left;
	bool found;
};

static int find_at_work(pid_t pid, void *userdata)
{
	struct work_search *search = userdata;
	_cleanup_(closedirp) DIR *threads = NULL;
	const struct dirent *entry;
	char path[64], state;

	/* without hsd we are a command of the unit */
	if (pid == getpid())
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	while (!search->found && search->left && threads && (entry = readdir(threads))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stat", pid, entry->d_name);
		state = state_in(path);
		search->found = state == 'R' || state == 'D';
		search->left--;
	}
	return search->found || !search->left;
}

bool alive_is_at_work(const char *cgroup)
{
	struct work_search search = {.left = THREADS_MAX};

	cgroup_each_process(cgroup, find_at_work, &search);
	return search.found;
}

/* ---- who cannot run ---- */

bool alive_is_halted(pid_t pid)
{
	return halt_of(pid) != HALT_NONE;
}

struct halt_search {
	unsigned left;
	enum halt found;
};

/* A debugger that holds one of them may be why a signal has stopped the others. */
static int find_halted(pid_t pid, void *userdata)
{
	struct halt_search *search = userdata;

	search->found = MAX(search->found, halt_of(pid));
	return search->found == HALT_HELD || !--search->left;
}

enum halt alive_any_halted(const char *cgroup)
{
	struct halt_search search = {.left = PROCESSES_MAX};
	uint64_t frozen = 0;

	if (!read_key(cgroup, "cgroup.events", "frozen", &frozen) && frozen)
		return HALT_HELD;
	cgroup_each_process(cgroup, find_halted, &search);
	return search.found;
}
