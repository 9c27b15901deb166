// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/config/config_front.h"
#include "plane/front/front_state.h"
#include "util/macro.h"

#define FRESH_MIN 128U
#define BATCH	  4096U
#define BEFORE	  "-before"

struct own_map {
	const char *pin, *name;
	enum bpf_map_type type;
	uint32_t key, value, n, flags;
};

struct pin_path front_pin(const char *folder, const char *pin)
{
	return pin_path("%s/" HS_PIN_FRONT "/%s", folder, pin);
}

static int create(const struct own_map *map)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = map->flags);
	int fd = bpf_map_create(map->type, map->name, map->key, map->value, map->n, &opts);

	return fd < 0 ? -errno : fd;
}

/* 1: it was made. */
static int make_missing(const char *folder, const struct own_map *map)
{
	_cleanup_(close_fdp) int fd = -1;
	struct pin_path path = front_pin(folder, map->pin);
	int r = pin_open(path.text, &fd);

	if (r != -ENOENT)
		return r;
	fd = create(map);
	if (fd < 0)
		return fd;
	return bpf_obj_pin(fd, path.text) ? -errno : 1;
}

uint32_t front_map_size(int fd)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.max_entries;
}

/* Those that are not there yet. */
static void copy_flows(int from, int to)
{
	_cleanup_(freep) struct hs_front_flow_key *keys = calloc(BATCH, sizeof(*keys));
	_cleanup_(freep) struct hs_front_flow *flows = calloc(BATCH, sizeof(*flows));
	uint32_t token, n;
	bool first = true;
	int r = 0;

	while (keys && flows && !r) {
		n = BATCH;
		r = bpf_map_lookup_batch(from, first ? NULL : &token, &token, keys, flows, &n,
					 NULL);
		first = false;
		if (r && errno != ENOENT)
			break;
		for (uint32_t i = 0; i < n; i++)
			(void)bpf_map_update_elem(to, &keys[i], &flows[i], BPF_NOEXIST);
	}
}

static struct pin_path pin_before(const char *folder, const char *pin)
{
	return pin_path("%s/" HS_PIN_FRONT "/%s" BEFORE, folder, pin);
}

/* The one that the program has stays pinned beside it until the program has the new one. Where it
 * never got that, because what came behind was refused, that is the one before still. */
static int resize(const char *folder, const struct own_map *map, bool *ret_changed)
{
	_cleanup_(close_fdp) int old = -1, new = -1;
	struct pin_path path = front_pin(folder, map->pin), before = pin_before(folder, map->pin);
	bool is_pending = !access(before.text, F_OK);
	int r = pin_open(path.text, &old);

	if (r < 0)
		return r;
	*ret_changed |= is_pending;
	if (front_map_size(old) == map->n)
		return 0;
	new = create(map);
	if (new < 0)
		return new;
	copy_flows(old, new);
	if (is_pending ? unlink(path.text) : rename(path.text, before.text))
		return -errno;
	*ret_changed = true;
	return bpf_obj_pin(new, path.text) ? -errno : 0;
}

static void undo(const char *folder, const char *pin)
{
	struct pin_path path = front_pin(folder, pin), before = pin_before(folder, pin);

	if (access(before.text, F_OK))
		return;
	unlink(path.text);
	(void)!rename(before.text, path.text);
}

void front_maps_undo(const char *folder)
{
	undo(folder, "flows");
	undo(folder, "young");
	undo(folder, "fresh");
}

static void settle(const struct front *front, const char *pin, int map)
{
	_cleanup_(close_fdp) int old = -1;
	struct pin_path before = pin_path("%s/%s" BEFORE, front->folder.text, pin);

	if (pin_open(before.text, &old))
		return;
	copy_flows(old, map);
	unlink(before.text);
}

void front_maps_settle(const struct front *front)
{
	settle(front, "flows", front->flows);
	settle(front, "young", front->young);
	settle(front, "fresh", front->fresh);
}

int front_maps_make(const char *folder, const struct config_front *config, bool *ret_changed)
{
	const uint32_t key = sizeof(uint32_t), flow_key = sizeof(struct hs_front_flow_key),
		       flow = sizeof(struct hs_front_flow);
	const struct own_map maps[] = {
		{"flows", "hs_front_flows", BPF_MAP_TYPE_LRU_HASH, flow_key, flow, config->flows,
		 0},
		{"young", "hs_front_young", BPF_MAP_TYPE_LRU_HASH, flow_key, flow,
		 config->flows / HS_FRONT_YOUNG_PART, 0},
		{"fresh", "hs_front_fresh", BPF_MAP_TYPE_LRU_HASH, flow_key, flow,
		 MAX(config->flows / HS_FRONT_FRESH_PART, FRESH_MIN), 0},
		{"traffic", "hs_front_load", BPF_MAP_TYPE_PERCPU_ARRAY, key,
		 sizeof(struct hs_front_traffic), HS_FRONT_TRAFFIC_MAX, 0},
		{"pace", "hs_front_pace", BPF_MAP_TYPE_PERCPU_ARRAY, key,
		 sizeof(struct hs_front_pace), 1, 0},
		{"front", "hs_front", BPF_MAP_TYPE_ARRAY, key, sizeof(struct hs_front), 1,
		 BPF_F_MMAPABLE},
	};
	struct pin_path path = pin_path("%s/" HS_PIN_FRONT, folder);
	int r = 0;

	*ret_changed = false;
	if (mkdir(path.text, 0750) < 0 && errno != EEXIST)
		return -errno;
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(maps); i++) {
		r = make_missing(folder, &maps[i]);
		*ret_changed |= r > 0;
	}
	for (size_t i = 0; r >= 0 && i < 3; i++)
		r = resize(folder, &maps[i], ret_changed);
	return r < 0 ? r : 0;
}
