// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/act/told.h"

#include <bpf/bpf.h>
#include <sys/stat.h>

#include "plane/bpf/pins.h"
#include "util/macro.h"

/* A folder of its own, which is its lock. */
static struct pin_path folder_of(const struct plane *plane)
{
	return pin_path("%s/" HS_PIN_ROLE, pin_service_path(plane_service(plane)).text);
}

static struct pin_path path_of(const struct plane *plane)
{
	return pin_path("%s/told", folder_of(plane).text);
}

int told_lock(const struct plane *plane, int *ret_fd)
{
	struct pin_path folder = folder_of(plane);

	if (mkdir(folder.text, 0750) < 0 && errno != EEXIST)
		return -errno;
	return pins_lock(folder.text, 0, ret_fd);
}

int told_read(const struct plane *plane, struct role_told *ret_told)
{
	_cleanup_(close_fdp) int fd = -1;
	uint32_t key = 0;
	uint64_t word = 0;
	int r = pin_open(path_of(plane).text, &fd);

	if (r < 0 && r != -ENOENT)
		return r;
	if (!r && bpf_map_lookup_elem(fd, &key, &word))
		return -errno;
	role_told_unpack(word, ret_told);
	return 0;
}

static int make(const struct plane *plane, int *ret_fd)
{
	_cleanup_(close_fdp) int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "hs_told",
						     sizeof(uint32_t), sizeof(uint64_t), 1, NULL);
	int r = fd < 0 ? -errno : pin_object(fd, path_of(plane).text);

	if (r < 0)
		return r;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int told_write(const struct plane *plane, const struct role_told *told)
{
	uint64_t word = role_told_pack(told);
	_cleanup_(close_fdp) int fd = -1;
	uint32_t key = 0;
	int r = pin_open(path_of(plane).text, &fd);

	if (r == -ENOENT)
		r = make(plane, &fd);
	if (r < 0)
		return r;
	return bpf_map_update_elem(fd, &key, &word, BPF_ANY) ? -errno : 0;
}
