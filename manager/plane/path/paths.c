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

/* Connections of a service's slots when they could be counted last. */
struct path_counts {
	struct path_counts *next;
	const struct hs_path *entries;
	uint64_t open[HS_SLOTS_MAX];
	uint64_t counted_usec; /* 0 = never, or not in time */
	/* Of a slot that could not accept any more then: mark_of(); else 0. */
	uint64_t closed[HS_SLOTS_MAX];
};

/* Of all services that this process has open: they are counted together, for what it takes is to go
 * through all sockets of the machine. */
static struct path_counts *all_counts;

static struct path_counts *counts_new(const struct hs_path *entries)
{
	struct path_counts *counts = calloc(1, sizeof(*counts));

	if (!counts)
		return NULL;
	counts->entries = entries;
	counts->next = all_counts;
	all_counts = counts;
	return counts;
}

static void counts_free(struct path_counts *counts)
{
	struct path_counts **place = &all_counts;

	if (!counts)
		return;
	while (*place != counts)
		place = &(*place)->next;
	*place = counts->next;
	free(counts);
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
	paths.counts = counts_new(paths.entries);
	if (!paths.counts) {
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
	counts_free(paths->counts);
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

		if (!queue.cookie || is_aside(entry) ||
		    unixdiag_waiting(entry->inode, queue.cookie, &queue.waiting) < 0)
			continue;
		if (queue.waiting.queued)
			ret_queues[n++] = queue;
		else
			line_done(&queue.waiting.line);
	}
	return n;
}

/* ---- connections ---- */

/* So long all sockets of the machine are gone through, at the most, */
#define COUNT_PATIENCE (50 * USEC_PER_MSEC)
/* and then this part of our time goes into it, unless it takes next to none. */
#define COUNT_CHEAP (2 * USEC_PER_MSEC)
#define COUNT_SHARE 50

/* So long the last counts stand for those of now, where a few do not matter. */
#define COUNT_FRESH (5 * USEC_PER_SEC)

static uint64_t count_after;

/* Changes with the slot's sockets, and when one of them is set aside or is not any more. */
static uint64_t mark_of(const struct hs_path *entries, unsigned slot)
{
	uint64_t mark = 0;

	for (unsigned i = 0; i < HS_PATHS_MAX; i++) {
		const struct hs_path *entry = &entries[slot * HS_PATHS_MAX + i];
		uint64_t cookie = cookie_of(entry);

		mark = mark * 31 + (cookie ? 2 * cookie + is_aside(entry) : 0);
	}
	return mark;
}

/* Whether nothing will be accepted from it: it is gone, or clients are not led there any more and
 * nobody waits. */
static bool is_closed(const struct hs_path *entry)
{
	struct unix_listener listener;
	int r = ask(entry, &listener);

	return r == -ENOENT || (!r && is_aside(entry) && !listener.queued);
}

/* Before they are counted: what none has then, none will have. */
static void note_closed(struct path_counts *counts)
{
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
		bool closed = true;

		counts->closed[slot] = mark_of(counts->entries, slot);
		for (unsigned i = 0; counts->closed[slot] && closed && i < HS_PATHS_MAX; i++)
			closed = is_closed(&counts->entries[slot * HS_PATHS_MAX + i]);
		if (!closed)
			counts->closed[slot] = 0;
	}
}

struct tally {
	struct unix_file *files;
	uint64_t *open, **sums;
	size_t n;
};

static void tally_done(struct tally *tally)
{
	free(tally->files);
	free(tally->open);
	free(tally->sums);
}

static int tally_make(struct tally *tally)
{
	size_t room = 0;

	for (struct path_counts *counts = all_counts; counts; counts = counts->next)
		room += ENTRIES;
	tally->files = calloc(room, sizeof(*tally->files));
	tally->open = calloc(room, sizeof(*tally->open));
	tally->sums = calloc(room, sizeof(*tally->sums));
	if (!tally->files || !tally->open || !tally->sums)
		return -ENOMEM;
	for (struct path_counts *counts = all_counts; counts; counts = counts->next)
		for (unsigned i = 0; i < ENTRIES; i++) {
			const struct hs_path *entry = &counts->entries[i];

			if (!cookie_of(entry))
				continue;
			tally->sums[tally->n] = &counts->open[i / HS_PATHS_MAX];
			tally->files[tally->n++] =
				(struct unix_file) {entry->file_device, entry->file_inode};
		}
	return 0;
}

static int count_all(void)
{
	_cleanup_(tally_done) struct tally tally = {0};
	int r = tally_make(&tally);

	/* where it is known that it is not done each time */
	for (struct path_counts *counts = all_counts; count_after && counts; counts = counts->next)
		note_closed(counts);
	if (!r)
		r = unixdiag_connections(tally.files, tally.n, COUNT_PATIENCE, tally.open);
	for (struct path_counts *counts = all_counts; counts; counts = counts->next) {
		counts->counted_usec = r ? 0 : now_usec();
		if (!r)
			memset(counts->open, 0, sizeof(counts->open));
	}
	for (size_t i = 0; !r && i < tally.n; i++)
		*tally.sums[i] += tally.open[i];
	return r;
}

/* -EAGAIN: it was done just before. */
static int count(void)
{
	uint64_t begun = cpu_usec(), took;
	int r;

	if (now_usec() < count_after)
		return -EAGAIN;
	r = count_all();
	took = cpu_usec() - begun;
	count_after = took > COUNT_CHEAP ? now_usec() + COUNT_SHARE * took : 0;
	return r;
}

static bool is_noted(const struct paths *paths, unsigned slot)
{
	for (unsigned i = 0; i < HS_PATHS_MAX; i++)
		if (cookie_of(entry_of(paths, slot, i)))
			return true;
	return false;
}

static bool has_any(const struct paths *paths)
{
	for (unsigned slot = 0; paths->entries && slot < HS_SLOTS_MAX; slot++)
		if (is_noted(paths, slot))
			return true;
	return false;
}

static void read_counts(const struct paths *paths, bool lately, uint64_t ret_counts[HS_SLOTS_MAX])
{
	const struct path_counts *counts = paths->counts;
	bool known;

	memset(ret_counts, 0, HS_SLOTS_MAX * sizeof(*ret_counts));
	if (!has_any(paths))
		return;
	known = !count() ||
		(lately && counts->counted_usec && now_usec() - counts->counted_usec < COUNT_FRESH);
	for (unsigned slot = 0; slot < HS_SLOTS_MAX; slot++) {
		if (!is_noted(paths, slot))
			continue;
		ret_counts[slot] = counts->open[slot];
		if (!known && counts->closed[slot] != mark_of(paths->entries, slot))
			ret_counts[slot] = MAX(ret_counts[slot], UINT64_C(1));
	}
}

void paths_connections(const struct paths *paths, uint64_t counts[HS_SLOTS_MAX])
{
	read_counts(paths, false, counts);
}

void paths_connections_lately(const struct paths *paths, uint64_t counts[HS_SLOTS_MAX])
{
	read_counts(paths, true, counts);
}
