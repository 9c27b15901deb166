// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/pinset.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "plane/kernel/cgroup.h"
#include "plane/kernel/program.h"
#include "util/macro.h"

/* Of a map "state"; there is no larger one. */
#define STATE_WORDS_MAX 64

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

/* 0: there is none, or none that could be ours. A value of another layout may have another size. */
static uint32_t layout_of(const char *folder)
{
	_cleanup_(close_fdp) int fd = -1;
	uint32_t state[STATE_WORDS_MAX] = {0}, zero = 0, size = sizeof(struct bpf_map_info);
	struct bpf_map_info info = {0};

	if (pin_open(pin_path("%s/state", folder).text, &fd) ||
	    bpf_obj_get_info_by_fd(fd, &info, &size) || info.value_size > sizeof(state) ||
	    bpf_map_lookup_elem(fd, &zero, state))
		return 0;
	return state[0];
}

int pinset_folder(const char *folder, uint32_t layout, void (*leave)(void))
{
	uint32_t there = layout_of(folder);

	if (there && there != layout) {
		leave();
		pins_remove(folder);
	}
	return mkdir(folder, 0750) < 0 && errno != EEXIST ? -errno : 0;
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

static struct pin_path next_path(const struct pinset_attached *attached)
{
	return pin_path("%s-next", attached->path.text);
}

/* One that goes, and what takes its place. */
struct going {
	const struct pinset_attached *attached;
	uint32_t id;
};

struct going_all {
	struct going *all;
	size_t n;
};

static struct going *find_going(const struct going_all *going, int type, uint32_t id)
{
	for (size_t i = 0; i < going->n; i++)
		if (going->all[i].id == id && going->all[i].attached->type == type)
			return &going->all[i];
	return NULL;
}

/* Descriptors are for the moment: of hundreds of services they would be more than we may have. What
 * the kernel refuses in one control group stays as it is there. */
static int replace(int cgroup_fd, int type, uint32_t id, void *userdata)
{
	const struct going *going = find_going(userdata, type, id);
	_cleanup_(close_fdp) int from = -1, to = -1;

	if (going && !pin_open(going->attached->path.text, &from) &&
	    !pin_open(next_path(going->attached).text, &to))
		(void)cgroup_replace_program(cgroup_fd, type, from, to);
	return 0;
}

/* False: nothing goes, for there is no next one, or none before. */
static bool is_going(const struct pinset_attached *attached, struct going *ret_going)
{
	_cleanup_(close_fdp) int fd = -1;

	*ret_going = (struct going) {.attached = attached};
	if (access(next_path(attached).text, F_OK))
		return false;
	return !pin_open(attached->path.text, &fd) && !program_id(fd, &ret_going->id);
}

/* Each once. */
static size_t list_types(const struct going_all *going, int types[])
{
	size_t n = 0, k;

	for (size_t i = 0; i < going->n; i++) {
		for (k = 0; k < n && types[k] != going->all[i].attached->type; k++)
			;
		if (k == n)
			types[n++] = going->all[i].attached->type;
	}
	return n;
}

static int replace_all(struct going_all *going)
{
	_cleanup_(freep) int *types = calloc(going->n, sizeof(*types));

	if (!types)
		return -ENOMEM;
	return cgroup_each_program(types, list_types(going, types), replace, going);
}

static int rename_next(const struct pinset_attached *attached)
{
	if (rename(next_path(attached).text, attached->path.text) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int pinset_succeed(const struct pinset_attached *attached, size_t n)
{
	_cleanup_(freep) struct going *all = calloc(n, sizeof(*all));
	struct going_all going = {.all = all};
	int r = 0;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		going.n += is_going(&attached[i], &all[going.n]);
	if (going.n)
		r = replace_all(&going);
	for (size_t i = 0; !r && i < n; i++)
		r = rename_next(&attached[i]);
	return r;
}

int pinset_next(const struct pinset_attached *attached, int program_fd)
{
	int r = pinset_succeed(attached, 1);

	/* a program that is attached anywhere and pinned nowhere could never be replaced: so it is
	 * pinned before */
	return r ? r : pin_object(program_fd, next_path(attached).text);
}

int pinset_program(const char *path, int type, int program_fd)
{
	struct pinset_attached attached = {pin_path("%s", path), type};
	int r = pinset_next(&attached, program_fd);

	return r ? r : pinset_succeed(&attached, 1);
}

static int detach(int cgroup_fd, int type, uint32_t id, void *userdata)
{
	const int *fds = userdata;
	uint32_t its_id;

	for (unsigned i = 0; i < 2; i++)
		if (fds[i] >= 0 && !program_id(fds[i], &its_id) && its_id == id)
			(void)cgroup_replace_program(cgroup_fd, type, fds[i], -1);
	return 0;
}

int pinset_detach(const struct pinset_attached *attached)
{
	_cleanup_(close_fdp) int now = -1, next = -1;

	(void)pin_open(attached->path.text, &now);
	(void)pin_open(next_path(attached).text, &next);
	return cgroup_each_program(&attached->type, 1, detach, (int[]) {now, next});
}
