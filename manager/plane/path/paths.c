// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/path/paths.h"

#include <bpf/bpf.h>
#include <string.h>
#include <sys/mman.h>

#include "plane/bpf/load.h"
#include "plane/bpf/pins.h"
#include "util/clock.h"
#include "util/macro.h"

#define ENTRIES (HS_SLOTS_MAX * HS_PATHS_MAX)
/* The kernel rounds the size of a value up, in an array that can be mapped. */
_Static_assert(sizeof(struct hs_path) % 8 == 0, "values lie side by side");

static size_t bytes(void)
{
	return ENTRIES * sizeof(struct hs_path);
}

int paths_open(const char *folder, struct paths *ret_paths)
{
	struct paths paths = PATHS_NONE;
	int r = pin_open(pin_path("%s/paths", folder).text, &paths.fd);

	if (r < 0)
		return r;
	paths.entries = load_memory(paths.fd, bytes());
	if (!paths.entries) {
		r = -errno;
		close_fd(paths.fd);
		return r;
	}
	paths.counted = calloc(HS_SLOTS_MAX, sizeof(*paths.counted));
	if (!paths.counted) {
		paths_done(&paths);
		return -ENOMEM;
	}
	*ret_paths = paths;
	return 0;
}

int paths_create(const char *folder)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	_cleanup_(close_fdp) int fd =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "hs_paths", sizeof(uint32_t),
			       sizeof(struct hs_path), ENTRIES, &opts);

	/* not by pin_object(), which would put it in the place of one that others write to */
	return fd < 0 || bpf_obj_pin(fd, pin_path("%s/paths", folder).text) < 0 ? -errno : 0;
}

void paths_done(struct paths *paths)
{
	if (paths->entries)
		munmap(paths->entries, bytes());
	close_fd(paths->fd);
	free(paths->counted);
	*paths = PATHS_NONE;
}

static struct hs_path *entry_of(const struct paths *paths, unsigned slot, unsigned index)
{
	return &paths->entries[slot * HS_PATHS_MAX + index];
}

static bool is_there(const struct paths *paths, unsigned slot)
{
	return paths->entries && slot < HS_SLOTS_MAX;
}

static uint64_t cookie_of(const struct hs_path *entry)
{
	return __atomic_load_n(&entry->cookie, __ATOMIC_SEQ_CST);
}

static bool is_aside(const struct hs_path *entry)
{
	return __atomic_load_n(&entry->aside, __ATOMIC_SEQ_CST);
}

/* What the kernel says about it now. -ENOENT: there is none; else it may live, and all that is
 * known of it is the cookie. */
static int ask(const struct hs_path *entry, struct unix_listener *ret_listener)
{
	uint64_t cookie = cookie_of(entry);

	*ret_listener = (struct unix_listener) {.cookie = cookie};
	return cookie ? unixdiag_get(entry->inode, cookie, ret_listener) : -ENOENT;
}

static bool lives(const struct hs_path *entry)
{
	struct unix_listener listener;

	return ask(entry, &listener) != -ENOENT;
}

/* ---- writing ---- */

/* The entry of a path, else a free one, else one whose socket is gone. */
static struct hs_path *place_for(const struct paths *paths, unsigned slot, const char *path)
{
	struct hs_path *spare = NULL;

	for (unsigned i = 0; i < HS_PATHS_MAX; i++) {
		struct hs_path *entry = entry_of(paths, slot, i);

		if (!strncmp(entry->path, path, HS_PATH_MAX))
			return entry;
		if (!spare && (!entry->path[0] || !lives(entry)))
			spare = entry;
	}
	return spare;
}

int paths_put(struct paths *paths, unsigned slot, const char *path,
	      const struct unix_listener *listener)
{
	struct hs_path *entry = place_for(paths, slot, path);

	if (!entry)
		return -ENOSPC;
	__atomic_store_n(&entry->cookie, 0, __ATOMIC_SEQ_CST);
	snprintf(entry->path, sizeof(entry->path), "%s", path);
	entry->inode = listener->inode;
	entry->file_device = listener->file.device;
	entry->file_inode = listener->file.inode;
	__atomic_store_n(&entry->aside, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&entry->cookie, listener->cookie, __ATOMIC_SEQ_CST);
	return 0;
}

static bool is_among(const char *path, const char (*kept)[HS_PATH_MAX], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!strncmp(path, kept[i], HS_PATH_MAX))
			return true;
	return false;
}

void paths_keep(struct paths *paths, unsigned slot, const char (*kept)[HS_PATH_MAX], unsigned n)
{
	for (unsigned i = 0; is_there(paths, slot) && i < HS_PATHS_MAX; i++) {
		struct hs_path *entry = entry_of(paths, slot, i);

		if (entry->path[0] && !is_among(entry->path, kept, n))
			__atomic_store_n(&entry->cookie, 0, __ATOMIC_SEQ_CST);
	}
}

void paths_set_aside(const struct paths *paths, unsigned slot)
{
	for (unsigned i = 0; is_there(paths, slot) && i < HS_PATHS_MAX; i++)
		__atomic_store_n(&entry_of(paths, slot, i)->aside, 1, __ATOMIC_SEQ_CST);
}

/* ---- reading ---- */

bool paths_is_aside(const struct paths *paths, unsigned slot)
{
	for (unsigned i = 0; is_there(paths, slot) && i < HS_PATHS_MAX; i++)
		if (cookie_of(entry_of(paths, slot, i)) && is_aside(entry_of(paths, slot, i)))
			return true;
	return false;
}

unsigned paths_sockets(const struct paths *paths, unsigned slot, uint64_t cookies[HS_PATHS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; is_there(paths, slot) && i < HS_PATHS_MAX; i++) {
		const struct hs_path *entry = entry_of(paths, slot, i);
		struct unix_listener listener;

		if (!is_aside(entry) && ask(entry, &listener) != -ENOENT)
			cookies[n++] = listener.cookie;
	}
	return n;
}

bool paths_had(const struct paths *paths, unsigned slot, uint64_t cookie)
{
	for (unsigned i = 0; is_there(paths, slot) && i < HS_PATHS_MAX; i++)
		if (cookie && cookie_of(entry_of(paths, slot, i)) == cookie)
			return true;
	return false;
}

static bool is_listed(const char *const *list, unsigned n, const char *path)
{
	for (unsigned i = 0; i < n; i++)
		if (!strncmp(list[i], path, HS_PATH_MAX))
			return true;
	return false;
}

unsigned paths_live(const struct paths *paths, const char *live[HS_PATHS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; paths->entries && i < ENTRIES && n < HS_PATHS_MAX; i++) {
		const struct hs_path *entry = &paths->entries[i];

		if (cookie_of(entry) && !is_listed(live, n, entry->path) && lives(entry))
			live[n++] = entry->path;
	}
	return n;
}

const char *paths_first(const struct paths *paths, unsigned slot)
{
	for (unsigned i = 0; is_there(paths, slot) && i < HS_PATHS_MAX; i++) {
		const struct hs_path *entry = entry_of(paths, slot, i);

		if (!is_aside(entry) && lives(entry))
			return entry->path;
	}
	return NULL;
}

static bool serves(const struct paths *paths, unsigned slot, const char *path)
{
	for (unsigned i = 0; i < HS_PATHS_MAX; i++) {
		const struct hs_path *entry = entry_of(paths, slot, i);

		if (!strncmp(entry->path, path, HS_PATH_MAX))
			return !is_aside(entry) && lives(entry);
	}
	return false;
}

const char *paths_missing(const struct paths *paths, unsigned slot, unsigned other)
{
	for (unsigned i = 0; is_there(paths, slot) && is_there(paths, other) && i < HS_PATHS_MAX;
	     i++) {
		const struct hs_path *entry = entry_of(paths, other, i);

		if (!is_aside(entry) && lives(entry) && !serves(paths, slot, entry->path))
			return entry->path;
	}
	return NULL;
}

int paths_queued(const struct paths *paths, unsigned slot, uint32_t *ret_queued)
{
	struct unix_listener listener;
	uint32_t queued = 0;
	int unknown = 0;

	for (unsigned i = 0; is_there(paths, slot) && i < HS_PATHS_MAX; i++) {
		int r = ask(entry_of(paths, slot, i), &listener);

		queued += listener.queued;
		if (r != -ENOENT)
			unknown = r ?: unknown;
	}
	if (!unknown)
		*ret_queued = queued;
	return unknown;
}

unsigned paths_waiting(const struct paths *paths, unsigned slot,
		       struct path_queue ret_queues[HS_PATHS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; is_there(paths, slot) && i < HS_PATHS_MAX; i++) {
		const struct hs_path *entry = entry_of(paths, slot, i);
		struct path_queue queue = {.cookie = cookie_of(entry)};

		if (queue.cookie && !is_aside(entry) &&
		    !unixdiag_waiting(entry->inode, queue.cookie, &queue.queued, &queue.head) &&
		    queue.queued)
			ret_queues[n++] = queue;
	}
	return n;
}

/* ---- connections ---- */

/* So long all sockets of the machine are gone through, at the most, */
#define COUNT_PATIENCE (50 * USEC_PER_MSEC)
/* and then this part of our time goes into it, unless it takes next to none. */
#define COUNT_CHEAP (2 * USEC_PER_MSEC)
#define COUNT_SHARE 50

/* Of all services together. */
static uint64_t count_after;

static int count(const struct unix_file *files, size_t n, uint64_t *open)
{
	uint64_t begun = cpu_usec(), took;
	int r;

	if (now_usec() < count_after)
		return -EAGAIN;
	r = unixdiag_connections(files, n, COUNT_PATIENCE, open);
	took = cpu_usec() - begun;
	count_after = took > COUNT_CHEAP ? now_usec() + COUNT_SHARE * took : 0;
	return r;
}

static size_t list_files(const struct paths *paths, struct unix_file files[ENTRIES],
			 unsigned slots[ENTRIES])
{
	size_t n = 0;

	for (unsigned i = 0; paths->entries && i < ENTRIES; i++) {
		const struct hs_path *entry = &paths->entries[i];

		if (!cookie_of(entry))
			continue;
		slots[n] = i / HS_PATHS_MAX;
		files[n++] = (struct unix_file) {entry->file_device, entry->file_inode};
	}
	return n;
}

void paths_connections(const struct paths *paths, uint64_t counts[HS_SLOTS_MAX])
{
	struct unix_file files[ENTRIES];
	uint64_t open[ENTRIES];
	unsigned slots[ENTRIES];
	size_t n = list_files(paths, files, slots);
	int r;

	memset(counts, 0, HS_SLOTS_MAX * sizeof(*counts));
	if (!n)
		return;
	r = count(files, n, open);
	if (!r)
		memset(paths->counted, 0, HS_SLOTS_MAX * sizeof(*paths->counted));
	for (size_t i = 0; i < n; i++) {
		if (!r)
			paths->counted[slots[i]] += open[i];
		counts[slots[i]] =
			r ? MAX(paths->counted[slots[i]], UINT64_C(1)) : paths->counted[slots[i]];
	}
}
