// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/bpf/maps.h"

#include <bpf/bpf.h>
#include <sys/stat.h>

#include "hs_abi.h"
#include "plane/bpf/pins.h"
#include "util/macro.h"

#define EVENTS_RING_BYTES (64 * 1024)

struct shared_map {
	const char *pin, *name;
	enum bpf_map_type type;
	uint32_t key, value, n, flags;
};

static const struct shared_map maps[] = {
	{"control", "hs_control", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(struct hs_control),
	 1, BPF_F_MMAPABLE},
	{"counters", "hs_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(uint32_t),
	 sizeof(struct hs_counters), HS_COUNTERS_MAX, 0},
	{"events", "hs_events", BPF_MAP_TYPE_RINGBUF, 0, 0, EVENTS_RING_BYTES, 0},
	{"prefixes", "hs_prefixes", BPF_MAP_TYPE_LPM_TRIE, sizeof(struct hs_prefix),
	 sizeof(uint8_t), HS_PREFIXES_MAX, BPF_F_NO_PREALLOC},
	/* in a folder of its own, which is its lock */
	{HS_PIN_PREVIEW "/rules", "hs_preview", BPF_MAP_TYPE_HASH, sizeof(struct hs_preview_key),
	 sizeof(struct hs_preview_rule), HS_PREVIEW_MAX, BPF_F_NO_PREALLOC},
};

static int create(const struct shared_map *map)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = map->flags);
	int fd = bpf_map_create(map->type, map->name, map->key, map->value, map->n, &opts);

	return fd < 0 ? -errno : fd;
}

static int make(const struct shared_map *map, const char *folder)
{
	_cleanup_(close_fdp) int fd = create(map);

	return fd < 0 ? fd : pin_object(fd, pin_path("%s/%s", folder, map->pin).text);
}

int maps_make_room(const char *folder)
{
	static const struct shared_map map = {
		"room", "hs_room",     BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(struct hs_room),
		1,	BPF_F_MMAPABLE};
	_cleanup_(close_fdp) int fd = create(&map);
	struct hs_room room = {.size = HS_ROOM_SIZE};
	uint32_t zero = 0;

	if (fd < 0)
		return fd;
	if (bpf_map_update_elem(fd, &zero, &room, BPF_ANY))
		return -errno;
	return pin_object(fd, pin_path("%s/%s", folder, map.pin).text);
}

int maps_create(const char *folder)
{
	int r = 0;

	if (mkdir(pin_path("%s/" HS_PIN_PREVIEW, folder).text, 0750) < 0)
		return -errno;
	for (size_t i = 0; !r && i < ARRAY_SIZE(maps); i++)
		r = make(&maps[i], folder);
	return r ? r : maps_make_room(folder);
}
