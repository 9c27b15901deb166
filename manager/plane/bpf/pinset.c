// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/pinset.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "plane/kernel/cgroup.h"
#include "util/macro.h"

bool pinset_is_made(const char *path, uint64_t build)
{
	_cleanup_(close_fdp) int fd = -1;
	uint32_t zero = 0;
	uint64_t made = 0;

	return !pin_open(path, &fd) && !bpf_map_lookup_elem(fd, &zero, &made) && made == build;
}

int pinset_open(int (*open_pins)(void *ret), int (*make_pins)(struct problem *problem), void *ret,
		struct problem *problem)
{
	_cleanup_(close_fdp) int lock = -1;
	int r = open_pins(ret);

	if (r != -ENOENT)
		return r;
	r = pins_enter(&lock, problem);
	if (r < 0)
		return r;
	r = open_pins(ret);
	return r == -ENOENT ? make_pins(problem) ?: open_pins(ret) : r;
}

static int reuse_map(const struct pinset_map *one)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = pin_open(one->path, &fd);

	if (r)
		return r == -ENOENT ? 0 : r;
	return bpf_map__reuse_fd(one->map, fd);
}

static int reuse_maps(const struct pinset *set)
{
	int r = 0;

	for (size_t i = 0; !r && i < set->n_maps; i++)
		r = reuse_map(&set->maps[i]);
	return r;
}

static int pin_all(const struct pinset *set)
{
	uint32_t zero = 0;
	int r = set->pin_programs(set->skel);

	for (size_t i = 0; !r && i < set->n_maps; i++)
		r = pin_object(bpf_map__fd(set->maps[i].map), set->maps[i].path);
	if (!r && bpf_map_update_elem(bpf_map__fd(set->maps[set->n_maps - 1].map), &zero,
				      &set->build, BPF_ANY))
		r = -errno;
	return r;
}

int pinset_make(const struct pinset *set, struct problem *problem)
{
	int r = reuse_maps(set);

	if (r < 0)
		return problem_set(problem, r, "cannot open the pins of %s: %s", set->what,
				   strerror(-r));
	r = load_object(set->object, set->what, problem);
	if (r < 0)
		return r;
	r = pin_all(set);
	return r ? problem_set(problem, r, "cannot pin %s: %s", set->what, strerror(-r)) : 0;
}

/* ---- programs in control groups ---- */

/* The one that is pinned as the next takes the place of the one before. */
static int succeed(const char *path, const char *next, int type)
{
	_cleanup_(close_fdp) int from = -1, to = -1;
	int r = pin_open(next, &to);

	if (!r)
		r = pin_open(path, &from);
	if (!r)
		r = cgroup_replace_program(type, from, to);
	if (r && r != -ENOENT)
		return r;
	return to >= 0 && rename(next, path) < 0 ? -errno : 0;
}

int pinset_program(const char *path, int type, int program_fd)
{
	struct pin_path next = pin_path("%s-next", path);
	int r = succeed(path, next.text, type);

	/* a program that is attached anywhere and pinned nowhere could never be replaced: so it is
	 * pinned first */
	if (!r)
		r = pin_object(program_fd, next.text);
	return r ? r : succeed(path, next.text, type);
}
