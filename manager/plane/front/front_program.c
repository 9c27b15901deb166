// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "front.skel.h"
#include "plane/bpf/load.h"
#include "plane/front/front.h"
#include "plane/front/front_state.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct front_bpf, front_bpf__destroy)

static int share_maps(const struct front_bpf *skel, const struct front *front,
		      const struct front_maps *maps)
{
	const struct {
		struct bpf_map *map;
		int fd; /* -1: it has a map of its own, in which nothing is */
	} shared[] = {
		{skel->maps.hs_control, maps->control},
		{skel->maps.hs_counters, maps->counters},
		{skel->maps.hs_events, maps->events},
		{skel->maps.hs_preview, maps->preview},
		{skel->maps.hs_prefixes, maps->prefixes},
		{skel->maps.hs_tables, maps->tables},
		{skel->maps.hs_pinned, maps->pinned},
		{skel->maps.hs_trace_rings, maps->trace_rings},
		{skel->maps.hs_trace_terms, maps->trace_terms},
		{skel->maps.hs_front, front->front_fd},
		{skel->maps.hs_front_flows, front->flows},
		{skel->maps.hs_front_young, front->young},
		{skel->maps.hs_front_fresh, front->fresh},
		{skel->maps.hs_front_load, front->load},
		{skel->maps.hs_front_pace, front->pace},
		{skel->maps.hs_front_frags, front->device.fragments},
	};
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(shared); i++)
		if (shared[i].fd >= 0)
			r = bpf_map__reuse_fd(shared[i].map, shared[i].fd);
	return r;
}

/* See HS_FRONT_LASTING_SECONDS. */
static uint64_t lasting_cost(const struct front *front)
{
	return HS_FRONT_LASTING_SECONDS * NSEC_PER_SEC / MAX(front_map_size(front->flows), 1U);
}

int front_program_load(const struct front *front, const struct front_maps *maps, int *ret_fd,
		       struct problem *problem)
{
	_cleanup_(front_bpf__destroyp) struct front_bpf *skel = front_bpf__open();
	int r, fd;

	if (!skel)
		return problem_set(problem, -errno, "cannot open the program of a front: %m");
	skel->rodata->hs_lasting_cost = lasting_cost(front);
	r = share_maps(skel, front, maps);
	if (r < 0)
		return problem_set(problem, r, "cannot share maps with the program of a front: %s",
				   strerror(-r));
	r = load_object(skel->obj, "the program of a front", problem);
	if (r < 0)
		return r;
	fd = fcntl(bpf_program__fd(skel->progs.hs_front_fwd), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return problem_set(problem, -errno, "cannot keep the program of a front: %m");
	*ret_fd = fd;
	return 0;
}

uint64_t front_program_build(void)
{
	static uint64_t build;
	const void *bytes;
	size_t n;

	if (!build) {
		bytes = front_bpf__elf_bytes(&n);
		build = load_build(bytes, n);
	}
	return build;
}
