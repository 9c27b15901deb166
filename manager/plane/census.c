// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/census.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "census.skel.h"
#include "plane/load.h"
#include "util/clock.h"
#include "util/macro.h"

struct census {
	struct census_bpf *skel;
	struct hs_census *page; /* mapped */
	int link;		/* the program and the tags that it goes over */
	uint64_t tick_nsec;
};

DEFINE_CLEANUP(struct census, census_free)

struct census *census_free(struct census *census)
{
	if (!census)
		return NULL;
	if (census->page)
		munmap(census->page, sizeof(*census->page));
	close_fd(census->link);
	census_bpf__destroy(census->skel);
	free(census);
	return NULL;
}

static int load(struct census *census, int moved_fd, struct problem *problem)
{
	int r;

	census->skel = census_bpf__open();
	r = census->skel ? bpf_map__reuse_fd(census->skel->maps.hs_moved, moved_fd) : -errno;
	if (r < 0)
		return problem_set(problem, r, "cannot open the census: %s", strerror(-r));
	return load_object(census->skel->obj, "the census", problem);
}

static int attach(struct census *census, int tags_fd)
{
	union bpf_iter_link_info tags = {.map.map_fd = tags_fd};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &tags, .iter_info_len = sizeof(tags));
	int program = bpf_program__fd(census->skel->progs.hs_census);

	census->link = bpf_link_create(program, 0, BPF_TRACE_ITER, &opts);
	return census->link < 0 ? -errno : 0;
}

static int map_page(struct census *census)
{
	void *page = mmap(NULL, sizeof(*census->page), PROT_READ | PROT_WRITE, MAP_SHARED,
			  bpf_map__fd(census->skel->maps.hs_census_map), 0);

	if (page == MAP_FAILED)
		return -errno;
	census->page = page;
	return 0;
}

/* The kernel tells its HZ to nobody, but the resolution of this clock is one tick. */
static int learn_tick(struct census *census)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) < 0)
		return -errno;
	census->tick_nsec = tick.tv_sec * NSEC_PER_SEC + tick.tv_nsec;
	return census->tick_nsec ? 0 : -EINVAL;
}

int census_open(int tags_fd, int moved_fd, struct census **ret_census, struct problem *problem)
{
	_cleanup_(census_freep) struct census *census = calloc(1, sizeof(*census));
	int r;

	if (!census)
		return problem_set(problem, -ENOMEM, "out of memory");
	census->link = -1;
	r = load(census, moved_fd, problem);
	if (r < 0)
		return r;
	r = attach(census, tags_fd);
	if (!r)
		r = map_page(census);
	if (!r)
		r = learn_tick(census);
	if (r < 0)
		return problem_set(problem, r, "the kernel does not run the census: %s",
				   strerror(-r));
	*ret_census = steal_ptr(&census);
	return 0;
}

/* The program prints nothing: the first read is the whole pass. */
static int pass(const struct census *census)
{
	_cleanup_(close_fdp) int iterator = bpf_iter_create(census->link);
	ssize_t n;
	char byte;

	if (iterator < 0)
		return -errno;
	do
		n = read(iterator, &byte, sizeof(byte));
	while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	return n < 0 ? -errno : 0;
}

static uint64_t usec_since(uint64_t nsec)
{
	uint64_t now = now_coarse_nsec();

	return nsec && now > nsec ? (now - nsec) / NSEC_PER_USEC : 0;
}

int census_take(struct census *census, uint32_t service_id, uint64_t idle_usec,
		struct place_census places[HS_PLACES_MAX])
{
	uint64_t ticks = idle_usec / census->tick_nsec * NSEC_PER_USEC +
			 idle_usec % census->tick_nsec * NSEC_PER_USEC / census->tick_nsec;
	int r;

	memset(census->page, 0, sizeof(*census->page));
	census->page->service_id = service_id;
	census->page->idle_ticks = MIN(ticks, HS_CENSUS_TICKS_MAX);
	r = pass(census);
	for (unsigned i = 0; !r && i < HS_PLACES_MAX; i++) {
		const struct hs_census_place *place = &census->page->places[i];
		uint64_t age = usec_since(place->oldest_ns);
		uint64_t idle = place->idlest_ticks * census->tick_nsec / NSEC_PER_USEC;

		places[i] = (struct place_census) {
			.connections = place->connections,
			.half_open = place->half_open,
			.idle = place->idle,
			.oldest_usec = age,
			/* two clocks of the kernel, that may be a tick apart */
			.idlest_usec = MIN(idle, age),
		};
	}
	return r;
}

int plane_census(const struct plane *plane, uint64_t idle_usec,
		 struct place_census ret_places[HS_PLACES_MAX], struct problem *problem)
{
	struct accounting *accounting = plane_accounting(plane);
	struct problem reason = {0};
	struct census **census;
	int r = 0;

	if (!accounting)
		return problem_set(problem, -EOPNOTSUPP,
				   "connections are not counted; start hsd: systemctl start hsd");
	census = accounting_census(accounting);
	if (!*census)
		r = census_open(accounting_tags_fd(accounting), accounting_moved_fd(accounting),
				census, &reason);
	if (!r)
		r = census_take(*census, plane_id(plane), idle_usec, ret_places);
	if (r < 0)
		return problem_set(problem, r == -ENOMEM ? r : -EOPNOTSUPP,
				   "what connections are doing cannot be told (%s); the kernel has "
				   "to describe its structures, see /sys/kernel/btf/vmlinux",
				   reason.text[0] ? reason.text : strerror(-r));
	return 0;
}
