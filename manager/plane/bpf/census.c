// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/census.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "census.skel.h"
#include "plane/bpf/iterator.h"
#include "plane/bpf/load.h"
#include "plane/kernel/netns.h"
#include "util/clock.h"
#include "util/macro.h"

struct census {
	struct census_bpf *skel;
	struct hs_census *page; /* mapped */
	int link, list_link;	/* a program, and the tags that it goes over */
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
	close_fd(census->list_link);
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

static int map_page(struct census *census)
{
	int fd = bpf_map__fd(census->skel->maps.hs_census_map);

	census->page = load_memory(fd, sizeof(*census->page));
	return census->page ? 0 : -errno;
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
	census->link = census->list_link = -1;
	r = load(census, moved_fd, problem);
	if (r < 0)
		return r;
	r = iterator_attach(census->skel->progs.hs_census, tags_fd, &census->link);
	if (!r)
		r = iterator_attach(census->skel->progs.hs_list, tags_fd, &census->list_link);
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
	r = iterator_pass(census->link);
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

/* ---- one by one ---- */

/* As many records as one read is given room for. */
#define AT_ONCE 256

static uint32_t to_ms(const struct census *census, uint32_t ticks)
{
	return (uint64_t)ticks * census->tick_nsec / NSEC_PER_USEC / USEC_PER_MSEC;
}

static struct address to_address(const struct hs_connection *from, uint32_t own_netns,
				 const uint8_t ip[16], uint16_t port)
{
	struct address address = {
		.netns = from->netns == own_netns ? 0 : from->netns,
		.family = from->family,
		.port = port,
		.ifindex = from->ifindex,
	};

	memcpy(address.ip, ip, sizeof(address.ip));
	return address;
}

struct listing {
	const struct census *census;
	uint32_t own_netns;
	int (*each)(const struct connection *connection, void *userdata);
	void *userdata;
};

static int tell(const struct listing *listing, const struct hs_connection *from)
{
	struct connection connection = {
		.local = to_address(from, listing->own_netns, from->local_ip, from->local_port),
		.peer = to_address(from, listing->own_netns, from->peer_ip, from->peer_port),
		.cookie = from->cookie,
		.state = from->state,
		.tag = from->tag,
		.held = from->held,
		.timed = true,
		.received_ms = to_ms(listing->census, from->received_ticks),
		.sent_ms = to_ms(listing->census, from->sent_ticks),
	};

	return listing->each(&connection, listing->userdata);
}

static int tell_all(const struct listing *listing, int iterator)
{
	_cleanup_(freep) struct hs_connection *records = calloc(AT_ONCE, sizeof(*records));
	size_t used = 0, whole;
	ssize_t n;
	int r = 0;

	if (!records)
		return -ENOMEM;
	do {
		n = iterator_read(iterator, (char *)records + used,
				  AT_ONCE * sizeof(*records) - used);
		if (n < 0)
			return (int)n;
		used += n;
		whole = used / sizeof(*records);
		for (size_t i = 0; !r && i < whole; i++)
			r = tell(listing, &records[i]);
		used %= sizeof(*records);
		memmove(records, records + whole, used);
	} while (n && !r);
	return r;
}

int census_list(struct census *census, uint32_t service_id,
		int (*each)(const struct connection *connection, void *userdata), void *userdata)
{
	_cleanup_(close_fdp) int iterator = bpf_iter_create(census->list_link);
	struct listing listing = {
		.census = census,
		.own_netns = netns_own_inode(),
		.each = each,
		.userdata = userdata,
	};

	if (iterator < 0)
		return -errno;
	census->page->service_id = service_id;
	return tell_all(&listing, iterator);
}

uint64_t connection_age(const struct connection *connection)
{
	return usec_since(connection->tag.begun_ns);
}
