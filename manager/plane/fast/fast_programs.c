// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/fast/fast_programs.h"

#include <stdio.h>
#include <string.h>

#include "plane/kernel/cgroup.h"
#include "util/macro.h"

/* So many processes of a group are looked at, in the order in which the kernel names them. */
#define PROCESSES_MAX 256

/*
 * nginx and what is made from it: a read that fills its buffer is followed by FIONREAD, and 0 means
 * that nothing is there until epoll tells. Linux 6.1 says 0 of what came the fast way; 6.18.44,
 * which knows of that, says 0 of what came by TCP, on connections that have ever been on the fast
 * path or might have been.
 */
static const char *const programs[] = {"nginx", "openresty", "angie", "tengine"};

static bool read_name(pid_t pid, char name[32])
{
	_cleanup_(fclosep) FILE *file = NULL;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file || !fgets(name, 32, file))
		return false;
	name[strcspn(name, "\n")] = '\0';
	return true;
}

struct look {
	struct problem *sentence;
	unsigned left;
};

static int judge(pid_t pid, void *userdata)
{
	struct look *look = userdata;
	char name[32];

	if (!look->left--)
		return -E2BIG;
	if (!read_name(pid, name))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (!strcmp(name, programs[i])) {
			problem_set(look->sentence, 0,
				    "%s is kept off the fast path: it goes by FIONREAD, which does "
				    "not tell it of all that is there, and would wait for ever",
				    name);
			return 1;
		}
	return 0;
}

bool fast_keeps_off(const char *cgroup, struct problem *ret_sentence)
{
	struct look look = {ret_sentence, PROCESSES_MAX};

	return cgroup_each_process(cgroup, judge, &look) > 0;
}
