// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/path/pathscan.h"

#include <string.h>
#include <sys/stat.h>

#include "plane/borrow/borrow.h"
#include "util/macro.h"

enum candidate {
	CANDIDATE_NONE,
	CANDIDATE_OWN,	  /* its file is the slot's, for the path `index` */
	CANDIDATE_PUBLIC, /* it has the public path's name, and another file */
	CANDIDATE_TWICE,  /* two listen at this path, of which one file can only be */
};

struct look {
	const struct pathscan *scan;
	struct unix_listener *listeners;
	size_t n;
	struct candidate_of {
		enum candidate kind;
		unsigned index;
		bool held;
	} * candidates;
	struct unix_file files[HS_PATHS_MAX]; /* of the slot; 0, 0 = none */
};

static void look_done(struct look *look)
{
	free(look->listeners);
	free(look->candidates);
}

/* What is not there yet, or is no socket, has no listener. */
static int find_files(struct look *look)
{
	const struct pathscan *scan = look->scan;

	for (unsigned i = 0; i < scan->n_paths; i++) {
		_cleanup_(close_fdp) int fd = -1;
		struct stat st;
		int r = borrow_path(scan->service, scan->slot, scan->paths[i], &fd);

		/* not there yet, or something else than a socket */
		if (r < 0 && r != -ENOENT && r != -ENOTSOCK && r != -ELOOP && r != -ENOTDIR)
			return r;
		if (!r && !fstat(fd, &st))
			look->files[i] = (struct unix_file) {unixdiag_device(st.st_dev),
							     (uint32_t)st.st_ino};
	}
	return 0;
}

static bool is_same(const struct unix_file *a, const struct unix_file *b)
{
	return a->inode && a->inode == b->inode && a->device == b->device;
}

static int by_name(const void *a, const void *b)
{
	const struct unix_listener *left = a, *right = b;

	return strcmp(left->name, right->name);
}

/* They are in the order of their names. */
static bool is_twice(const struct look *look, size_t index)
{
	const struct unix_listener *one = &look->listeners[index];

	if (one->name[0] != '/')
		return false;
	return (index && !by_name(one, one - 1)) || (index + 1 < look->n && !by_name(one, one + 1));
}

static struct candidate_of judge(const struct look *look, size_t index)
{
	const struct unix_listener *listener = &look->listeners[index];
	const struct pathscan *scan = look->scan;

	for (unsigned i = 0; i < scan->n_paths; i++)
		if (is_same(&listener->file, &look->files[i]))
			return (struct candidate_of) {CANDIDATE_OWN, i, false};
	for (unsigned i = 0; i < scan->n_paths; i++)
		if (!strcmp(listener->name, scan->paths[i]))
			return (struct candidate_of) {CANDIDATE_PUBLIC, i, false};
	return (struct candidate_of) {is_twice(look, index) ? CANDIDATE_TWICE : CANDIDATE_NONE, 0,
				      false};
}

static int by_number(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static void mark_held(struct look *look, uint32_t inode)
{
	for (size_t i = 0; i < look->n; i++)
		look->candidates[i].held |= look->listeners[i].inode == inode;
}

/* Which of the candidates the unit's processes hold; mostly there is none to ask about. */
static int find_held(struct look *look)
{
	_cleanup_(freep) uint32_t *inodes = calloc(look->n + 1, sizeof(*inodes));
	_cleanup_(freep) struct lent_place *places = NULL;
	size_t n = 0, n_places;
	int r;

	if (!inodes)
		return -ENOMEM;
	for (size_t i = 0; i < look->n; i++)
		if (look->candidates[i].kind != CANDIDATE_NONE)
			inodes[n++] = look->listeners[i].inode;
	if (!n)
		return 0;
	qsort(inodes, n, sizeof(*inodes), by_number);
	r = borrow_find(look->scan->cgroup, inodes, n, &places, &n_places);
	for (size_t i = 0; !r && i < n_places; i++)
		mark_held(look, places[i].inode);
	return r;
}

static int find_candidates(struct look *look)
{
	int r = unixdiag_listening(&look->listeners, &look->n);

	if (r < 0)
		return r;
	look->candidates = calloc(look->n + 1, sizeof(*look->candidates));
	if (!look->candidates)
		return -ENOMEM;
	if (look->n)
		qsort(look->listeners, look->n, sizeof(*look->listeners), by_name);
	for (size_t i = 0; i < look->n; i++)
		look->candidates[i] = judge(look, i);
	return find_held(look);
}

static bool has_own(const struct look *look, unsigned index)
{
	for (size_t i = 0; i < look->n; i++)
		if (look->candidates[i].held && look->candidates[i].kind == CANDIDATE_OWN &&
		    look->candidates[i].index == index)
			return true;
	return false;
}

static void describe(const struct look *look, size_t index, struct problem *problem)
{
	const struct candidate_of *candidate = &look->candidates[index];
	const struct pathscan *scan = look->scan;

	if (!candidate->held || problem->text[0])
		return;
	if (candidate->kind == CANDIDATE_PUBLIC && !has_own(look, candidate->index))
		problem_set(problem, 0,
			    "it listens at %s itself, not in the folder of its slot, as it was "
			    "started before that was there; restart it: systemctl restart %s@%u",
			    scan->paths[candidate->index], scan->service, scan->slot);
	else if (candidate->kind == CANDIDATE_TWICE)
		problem_set(problem, 0,
			    "it listens at %s, and so does another: one file can lead to one of "
			    "them only, and who stops may remove it; give each slot its own: hsctl "
			    "enable %s@.service --path=%s",
			    look->listeners[index].name, scan->service,
			    look->listeners[index].name);
}

int pathscan_find(const struct pathscan *scan, struct found_path ret_found[HS_PATHS_MAX],
		  unsigned *ret_n, struct problem *ret_problem)
{
	_cleanup_(look_done) struct look look = {.scan = scan};
	unsigned n = 0;
	int r = find_files(&look);

	if (!r)
		r = find_candidates(&look);
	if (r < 0)
		return r;
	ret_problem->text[0] = '\0';
	for (size_t i = 0; i < look.n && n < HS_PATHS_MAX; i++) {
		const struct candidate_of *candidate = &look.candidates[i];

		if (candidate->held && candidate->kind == CANDIDATE_OWN) {
			memcpy(ret_found[n].path, scan->paths[candidate->index], HS_PATH_MAX);
			ret_found[n++].listener = look.listeners[i];
		}
		describe(&look, i, ret_problem);
	}
	*ret_n = n;
	return 0;
}
