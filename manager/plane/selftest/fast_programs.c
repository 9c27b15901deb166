// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/selftest/fast_programs.h"

#include <stdio.h>
#include <string.h>

#include "plane/kernel/cgroup.h"
#include "util/macro.h"

/* By the names of their processes, which anybody may read. */
static const struct {
	const char *name;
	enum fast_ability needs;
} programs[] = {
	/* a read that fills its buffer is followed by FIONREAD, and 0 means: until epoll tells */
	{"nginx", FAST_FIONREAD},
	{"openresty", FAST_FIONREAD},
	{"angie", FAST_FIONREAD},
	/* in Go, whose copies from one connection to another go by splice(2) */
	{"caddy", FAST_SPLICE},
	{"traefik", FAST_SPLICE},
};

uint32_t fast_programs_need(void)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		mask |= 1U << programs[i].needs;
	return mask;
}

static bool read_name(pid_t pid, char name[32])
{
	char path[32];
	FILE *file;
	bool read;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	read = fgets(name, 32, file) != NULL;
	fclose(file);
	name[strcspn(name, "\n")] = '\0';
	return read;
}

struct search {
	const struct ability_result *results;
	struct problem *sentence;
};

static int judge(pid_t pid, void *userdata)
{
	const struct search *search = userdata;
	char name[32];

	if (!read_name(pid, name))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (strcmp(name, programs[i].name) ||
		    search->results[programs[i].needs].verdict != ABILITY_FAILS)
			continue;
		problem_set(search->sentence, 0,
			    "%s is kept off the fast path: on this kernel it would wait for ever "
			    "for what is there (%s; see hsctl doctor --fastpath)",
			    name, fast_ability_to_string(programs[i].needs));
		return 1;
	}
	return 0;
}

bool fast_programs_keep_off(const char *cgroup, const struct ability_result *results,
			    struct problem *ret_sentence)
{
	struct search search = {results, ret_sentence};

	return cgroup_each_process(cgroup, judge, &search) > 0;
}
