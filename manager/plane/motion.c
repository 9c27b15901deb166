// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/motion.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/mman.h>

#include "motion.skel.h"
#include "plane/load.h"
#include "util/macro.h"

struct motion {
	struct motion_bpf *skel;
	struct hs_motion *page; /* mapped */
	int link;		/* the program and the tags that it goes over */
};

DEFINE_CLEANUP(struct motion, motion_free)

struct motion *motion_free(struct motion *motion)
{
	if (!motion)
		return NULL;
	if (motion->page)
		munmap(motion->page, sizeof(*motion->page));
	close_fd(motion->link);
	motion_bpf__destroy(motion->skel);
	free(motion);
	return NULL;
}

static int load(struct motion *motion, int moved_fd)
{
	motion->skel = motion_bpf__open();
	if (!motion->skel)
		return -errno;
	if (bpf_map__reuse_fd(motion->skel->maps.hs_moved, moved_fd))
		return -errno;
	return load_object(motion->skel->obj, "the look at what moves", NULL);
}

static int attach(struct motion *motion, int tags_fd)
{
	union bpf_iter_link_info tags = {.map.map_fd = tags_fd};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &tags, .iter_info_len = sizeof(tags));
	int program = bpf_program__fd(motion->skel->progs.hs_motion);

	motion->link = bpf_link_create(program, 0, BPF_TRACE_ITER, &opts);
	return motion->link < 0 ? -errno : 0;
}

static int map_page(struct motion *motion)
{
	void *page = mmap(NULL, sizeof(*motion->page), PROT_READ | PROT_WRITE, MAP_SHARED,
			  bpf_map__fd(motion->skel->maps.hs_motion_map), 0);

	if (page == MAP_FAILED)
		return -errno;
	motion->page = page;
	return 0;
}

int motion_open(int tags_fd, int moved_fd, struct motion **ret_motion)
{
	_cleanup_(motion_freep) struct motion *motion = calloc(1, sizeof(*motion));
	int r;

	if (!motion)
		return -ENOMEM;
	motion->link = -1;
	r = load(motion, moved_fd);
	if (!r)
		r = attach(motion, tags_fd);
	if (!r)
		r = map_page(motion);
	if (r < 0)
		return r;
	*ret_motion = steal_ptr(&motion);
	return 0;
}

/* The program prints nothing: the first read is the whole pass. */
static int pass(const struct motion *motion)
{
	_cleanup_(close_fdp) int iterator = bpf_iter_create(motion->link);
	ssize_t n;
	char byte;

	if (iterator < 0)
		return -errno;
	do
		n = read(iterator, &byte, sizeof(byte));
	while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	return n < 0 ? -errno : 0;
}

int motion_take(struct motion *motion, uint32_t service_id,
		struct place_motion ret_places[HS_PLACES_MAX])
{
	int r;

	memset(motion->page, 0, sizeof(*motion->page));
	motion->page->service_id = service_id;
	r = pass(motion);
	for (unsigned i = 0; !r && i < HS_PLACES_MAX; i++) {
		const struct hs_motion_place *place = &motion->page->places[i];

		ret_places[i] = (struct place_motion) {
			.accepted = place->accepted,
			.unread = place->unread,
			.mark = place->mark,
		};
	}
	return r;
}
