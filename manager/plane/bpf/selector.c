// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/selector.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "selector.skel.h"
#include "selector_udp.skel.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct selector_bpf, selector_bpf__destroy)
DEFINE_CLEANUP(struct selector_udp_bpf, selector_udp_bpf__destroy)

/* A map of a selector, the name of its pin, and whose it is. */
struct own_map {
	const char *map, *pin;
	bool tcp, udp;
};

static const struct own_map own_maps[] = {
	{"hs_sockets", "sockets", true, true},
	{"hs_shards", "shards", true, true},
	{"hs_owners", "owners", true, false},
};

/* One of the two, opened. */
struct selector {
	bool udp;
	struct selector_bpf *tcp_skel;
	struct selector_udp_bpf *udp_skel;
	struct bpf_object *object; /* of one of these */
	struct bpf_program *program;
};

static void selector_close(struct selector *selector)
{
	selector_bpf__destroy(selector->tcp_skel);
	selector_udp_bpf__destroy(selector->udp_skel);
}

static int open_tcp(struct selector *selector, const struct selector_shared *shared)
{
	selector->tcp_skel = selector_bpf__open();
	if (!selector->tcp_skel)
		return -errno;
	selector->tcp_skel->rodata->hs_accounted = shared->moved_fd >= 0;
	selector->tcp_skel->rodata->hs_netns = shared->netns;
	selector->tcp_skel->rodata->hs_trace_listener = shared->trace_listener;
	selector->object = selector->tcp_skel->obj;
	selector->program = selector->tcp_skel->progs.hs_select;
	return 0;
}

static int open_udp(struct selector *selector, const struct selector_shared *shared)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(shared->flows_fd, &info, &size))
		return -errno;
	selector->udp_skel = selector_udp_bpf__open();
	if (!selector->udp_skel)
		return -errno;
	selector->udp_skel->rodata->hs_flow_mask = info.max_entries - 1;
	selector->udp_skel->rodata->hs_netns = shared->netns;
	selector->udp_skel->rodata->hs_trace_listener = shared->trace_listener;
	selector->object = selector->udp_skel->obj;
	selector->program = selector->udp_skel->progs.hs_select_udp;
	return 0;
}

static struct bpf_map *map_of(const struct selector *selector, const char *name)
{
	return bpf_object__find_map_by_name(selector->object, name);
}

static bool has_map(const struct selector *selector, const struct own_map *map)
{
	return selector->udp ? map->udp : map->tcp;
}

static int share_maps(const struct selector *selector, const struct selector_shared *shared)
{
	const struct {
		const char *name;
		int fd;
		bool may_lack; /* then it has a map of its own, in which nothing is */
	} maps[] = {
		{"hs_control", shared->control_fd, false},
		{"hs_counters", shared->counters_fd, false},
		{"hs_events", shared->events_fd, false},
		{"hs_preview", shared->preview_fd, false},
		{"hs_prefixes", shared->prefixes_fd, false},
		{"hs_tables", shared->tables_fd, true},
		{"hs_pinned", shared->pinned_fd, true},
		{"hs_own_marks", shared->marks_fd, true},
		{"hs_trace_rings", shared->trace_rings_fd, true},
		{"hs_trace_terms", shared->trace_terms_fd, true},
	};
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(maps); i++)
		if (maps[i].fd >= 0 || !maps[i].may_lack)
			r = bpf_map__reuse_fd(map_of(selector, maps[i].name), maps[i].fd);
	if (r < 0)
		return r;
	if (selector->udp)
		return bpf_map__reuse_fd(map_of(selector, "hs_flows"), shared->flows_fd);
	if (shared->moved_fd >= 0)
		return bpf_map__reuse_fd(map_of(selector, "hs_moved"), shared->moved_fd);
	return bpf_map__set_max_entries(map_of(selector, "hs_moved"), 1);
}

static int selector_open(bool udp, const struct selector_shared *shared,
			 struct selector *ret_selector, struct problem *problem)
{
	struct selector selector = {.udp = udp};
	int r = udp ? open_udp(&selector, shared) : open_tcp(&selector, shared);

	if (!r)
		r = share_maps(&selector, shared);
	if (r < 0) {
		selector_close(&selector);
		return problem_set(problem, r, "cannot open the selector program: %s",
				   strerror(-r));
	}
	*ret_selector = selector;
	return 0;
}

static int load(const struct selector *selector, struct problem *problem)
{
	return load_object(selector->object,
			   selector->udp ? "the selector for UDP" : "the selector", problem);
}

/* The program comes last: without it the set is half made. */
static int pin_program(const struct selector *selector, const char *folder)
{
	return pin_object(bpf_program__fd(selector->program), pin_path("%s/selector", folder).text);
}

static int pin_all(const struct selector *selector, const char *folder)
{
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(own_maps); i++)
		if (has_map(selector, &own_maps[i]))
			r = pin_object(bpf_map__fd(map_of(selector, own_maps[i].map)),
				       pin_path("%s/%s", folder, own_maps[i].pin).text);
	return r ? r : pin_program(selector, folder);
}

int selector_create(const char *folder, bool udp, const struct selector_shared *shared,
		    struct problem *problem)
{
	_cleanup_(selector_close) struct selector selector = {0};
	int r = selector_open(udp, shared, &selector, problem);

	if (!r)
		r = load(&selector, problem);
	if (r < 0)
		return r;
	if (mkdir(folder, 0750) < 0 && errno != EEXIST)
		return problem_set(problem, -errno, "cannot make %s: %m", folder);
	r = pin_all(&selector, folder);
	if (r < 0)
		problem_set(problem, r, "cannot pin below %s: %s", folder, strerror(-r));
	return r;
}

static int keep_maps(const struct selector *selector, const char *folder)
{
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(own_maps); i++) {
		_cleanup_(close_fdp) int fd = -1;

		if (!has_map(selector, &own_maps[i]))
			continue;
		r = pin_open(pin_path("%s/%s", folder, own_maps[i].pin).text, &fd);
		if (!r)
			r = bpf_map__reuse_fd(map_of(selector, own_maps[i].map), fd);
	}
	return r;
}

int selector_copy(const char *folder, bool udp, const struct selector_shared *shared, int *ret_fd,
		  struct problem *problem)
{
	_cleanup_(selector_close) struct selector selector = {0};
	int fd, r = selector_open(udp, shared, &selector, problem);

	if (!r)
		r = keep_maps(&selector, folder);
	if (!r)
		r = load(&selector, problem);
	if (r < 0)
		return r;
	fd = fcntl(bpf_program__fd(selector.program), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int selector_replace(const char *folder, bool udp, const struct selector_shared *shared,
		     int *ret_fd, struct problem *problem)
{
	_cleanup_(close_fdp) int fd = -1;
	int r = selector_copy(folder, udp, shared, &fd, problem);

	if (!r)
		r = pin_object(fd, pin_path("%s/selector", folder).text);
	if (r < 0)
		return r;
	*ret_fd = steal_fd(&fd);
	return 0;
}

uint64_t selector_build(bool udp)
{
	static uint64_t builds[2];
	const void *bytes;
	size_t n;

	if (!builds[udp]) {
		bytes = udp ? selector_udp_bpf__elf_bytes(&n) : selector_bpf__elf_bytes(&n);
		builds[udp] = load_build(bytes, n);
	}
	return builds[udp];
}
