// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/motion.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/mman.h>

#include "motion.skel.h"
#include "plane/bpf/iterator.h"
#include "plane/bpf/load.h"
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

static int map_page(struct motion *motion)
{
	int fd = bpf_map__fd(motion->skel->maps.hs_motion_map);

	motion->page = load_memory(fd, sizeof(*motion->page));
	return motion->page ? 0 : -errno;
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
		r = iterator_attach(motion->skel->progs.hs_motion, tags_fd, &motion->link);
	if (!r)
		r = map_page(motion);
	if (r < 0)
		return r;
	*ret_motion = steal_ptr(&motion);
	return 0;
}

int motion_take(struct motion *motion, uint32_t service_id,
		struct place_motion ret_places[HS_PLACES_MAX])
{
	int r;

	memset(motion->page, 0, sizeof(*motion->page));
	motion->page->service_id = service_id;
	r = iterator_pass(motion->link);
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
