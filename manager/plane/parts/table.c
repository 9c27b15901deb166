// SPDX-License-Identifier: GPL-2.0-or-later
#include "plane/parts/table.h"

#include <bpf/bpf.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plane/bpf/load.h"
#include "plane/parts/control.h"
#include "plane/parts/plane_state.h"
#include "util/clock.h"
#include "util/macro.h"

/* Long enough for any CPU to have done what it had begun: loads in another order are a matter of
 * nanoseconds. */
#define SETTLED_NSEC UINT64_C(20000000)

/* ---- opening ---- */

static struct pin_path pin_of(const struct plane *plane, const char *name)
{
	return pin_path("%s/%s", plane->folder.text, name);
}

/* Also when another process has made it since. By a pin of its own: to open by its number what the
 * map of tables holds takes more privilege than hsd has. */
static void map_table(struct plane *plane)
{
	_cleanup_(close_fdp) int fd = -1;

	if (!plane->table && !pin_open(pin_of(plane, "table").text, &fd))
		plane->table = load_memory(fd, sizeof(*plane->table));
}

static int create_table(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "hs_table", sizeof(uint32_t),
				sizeof(struct hs_table), 1, &opts);

	return fd < 0 ? -errno : fd;
}

static int create_tables(void)
{
	_cleanup_(close_fdp) int model = create_table();
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = model);
	int fd;

	if (model < 0)
		return model;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "hs_tables", sizeof(uint32_t),
			    sizeof(uint32_t), 1, &opts);
	return fd < 0 ? -errno : fd;
}

static int create_pinned(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "hs_pinned", sizeof(struct hs_pinned_key),
				sizeof(uint8_t), 2 * HS_PINNED_MAX, &opts);

	return fd < 0 ? -errno : fd;
}

static void open_pins(struct plane *plane)
{
	if (plane->tables_fd < 0)
		(void)pin_open(pin_of(plane, "tables").text, &plane->tables_fd);
	if (plane->pinned_fd < 0)
		(void)pin_open(pin_of(plane, "pinned").text, &plane->pinned_fd);
}

/* Made if there is none. Not by pin_object(), which would put it in the
 * place of one that selectors read. */
static int make_pin(const struct pin_path path, int (*create)(void))
{
	_cleanup_(close_fdp) int fd = create();

	if (fd < 0)
		return fd;
	return bpf_obj_pin(fd, path.text) && errno != EEXIST ? -errno : 0;
}

void plane_table_open(struct plane *plane)
{
	open_pins(plane);
	map_table(plane);
}

int plane_table_prepare(struct plane *plane)
{
	int r = 0;

	open_pins(plane);
	if (plane->tables_fd < 0)
		r = make_pin(pin_of(plane, "tables"), create_tables);
	if (!r && plane->pinned_fd < 0)
		r = make_pin(pin_of(plane, "pinned"), create_pinned);
	plane_table_open(plane);
	if (!r && (plane->tables_fd < 0 || plane->pinned_fd < 0))
		r = -ENOENT;
	return r;
}

void plane_table_close(struct plane *plane)
{
	if (plane->table)
		munmap(plane->table, sizeof(*plane->table));
	plane->table = NULL;
	close_fd(plane->tables_fd);
	close_fd(plane->pinned_fd);
	plane->tables_fd = plane->pinned_fd = -1;
}

/* ---- reading ---- */

bool plane_has_table(const struct plane *plane)
{
	map_table((struct plane *)plane);
	return plane->table &&
	       __atomic_load_n(&plane->table->layout, __ATOMIC_ACQUIRE) == HS_TABLE_LAYOUT;
}

static bool is_hash(uint64_t word)
{
	return hs_word_policy(word) == HS_POLICY_HASH;
}

bool plane_is_spread(const struct plane *plane)
{
	return is_hash(plane_word(plane)) && plane_has_table(plane);
}

static unsigned copy_of(uint64_t word)
{
	return hs_word_flags(word) & HS_FLAG_COPY ? 1 : 0;
}

/* As selectors do it: what was read holds if the word is the same behind that. */
static bool read_copy(const struct plane *plane, void *ret, size_t size)
{
	uint64_t word, read;

	if (!plane_has_table(plane))
		return false;
	read = plane_word(plane);
	do {
		word = read;
		memcpy(ret, &plane->table->copies[copy_of(word)], size);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		read = plane_word(plane);
	} while (read != word);
	return spread_is_sound(ret);
}

bool plane_table_read(const struct plane *plane, struct hs_table_copy *ret_copy)
{
	return read_copy(plane, ret_copy, sizeof(*ret_copy));
}

bool plane_table_spread(const struct plane *plane, struct hs_spread *ret_spread)
{
	return read_copy(plane, ret_spread, sizeof(*ret_spread));
}

uint32_t *plane_table_hits(const struct plane *plane)
{
	return plane_has_table(plane) ? plane->table->hits : NULL;
}

#define MADE_ANEW "have it made anew: stop the instances, then hsctl disable and enable"

int plane_table_check(const struct plane *plane, struct problem *problem)
{
	struct hs_spread spread;

	map_table((struct plane *)plane);
	if (!plane->table || plane_table_spread(plane, &spread))
		return 0;
	if (!plane_has_table(plane))
		return problem_set(problem, -EPROTO,
				   "its table is of layout %u and this hotstandby knows %u; "
				   "traffic goes on as it says; run the hotstandby that made it, "
				   "or " MADE_ANEW,
				   plane->table->layout, HS_TABLE_LAYOUT);
	return problem_set(problem, -EPROTO, "its table is damaged; " MADE_ANEW);
}

/* ---- writing ---- */

/* A selector may have read the word before it named the other copy, and be reading this one still;
 * it finds that out by a second look at the word. Where loads may come in another order than they
 * were written (not on x86), that look can be early, and has to be waited for: membarrier(2) comes
 * back when all readers have ended that had begun. */
static void wait_for_readers(const struct hs_table_copy *held)
{
#if defined(__x86_64__)
	(void)held;
#else
	if (now_nsec() - held->spread.made_ns < SETTLED_NSEC)
		(void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
#endif
}

static int clear_pinned(const struct plane *plane, uint8_t copy)
{
	struct hs_pinned_key keys[2 * HS_PINNED_MAX], *previous = NULL;
	unsigned n = 0;

	while (n < ARRAY_SIZE(keys) && !bpf_map_get_next_key(plane->pinned_fd, previous, &keys[n]))
		previous = &keys[n++];
	for (unsigned i = 0; i < n; i++)
		if (keys[i].copy == copy && bpf_map_delete_elem(plane->pinned_fd, &keys[i]) &&
		    errno != ENOENT)
			return -errno;
	return 0;
}

/* Those of members only: the others go by their buckets meanwhile. */
static int write_pinned(const struct plane *plane, uint8_t copy, struct hs_spread *spread)
{
	int r = clear_pinned(plane, copy);

	spread->pinned_live = 0;
	for (unsigned i = 0; !r && i < spread->n_pinned; i++) {
		const struct hs_pinned *pinned = &spread->pinned[i];
		struct hs_pinned_key key = {.length = 8U + pinned->length, .copy = copy};

		if (!(spread->members >> pinned->slot & 1))
			continue;
		memcpy(key.ip, pinned->ip, sizeof(key.ip));
		if (bpf_map_update_elem(plane->pinned_fd, &key, &pinned->slot, BPF_ANY))
			r = -errno;
		spread->pinned_live += !r;
	}
	return r;
}

/* What is remembered of senders goes by key and kind alone. From 1 on: a word of 0 is nobody's. */
static uint32_t next_epoch(const struct hs_spread *held, const struct hs_spread *next)
{
	uint32_t epoch = held->epoch;

	if (held->key != next->key || held->by != next->by || !epoch)
		epoch = epoch % ((1U << HS_RECALL_EPOCH_BITS) - 1) + 1;
	return epoch;
}

int plane_table_publish(struct plane *plane, const struct hs_table_copy *copy, bool take_policy)
{
	unsigned held = copy_of(plane_word(plane));
	struct hs_table_copy *other = &plane->table->copies[!held];
	int r;

	wait_for_readers(&plane->table->copies[held]);
	memcpy(other, copy, sizeof(*other));
	r = write_pinned(plane, !held, &other->spread);
	if (r < 0)
		return r;
	other->spread.made_ns = now_nsec();
	other->spread.epoch = next_epoch(&plane->table->copies[held].spread, &other->spread);
	plane_edit_word(plane, take_policy ? word_spread : word_set_copy, WORD_ARGS(.on = !held),
			NULL);
	return 0;
}

/* ---- making ---- */

int plane_table_random_key(uint64_t *ret_key)
{
	return getrandom(ret_key, sizeof(*ret_key), 0) == sizeof(*ret_key) ? 0 : -EIO;
}

/* It is pinned when it is whole. With the lock: there is none. */
static int make_table(struct plane *plane, const struct table_change *change)
{
	_cleanup_(close_fdp) int fd = create_table();
	struct hs_table *table;
	uint64_t key;
	int r;

	if (fd < 0)
		return fd;
	r = plane_table_random_key(&key);
	table = r ? NULL : load_memory(fd, sizeof(*table));
	if (!table)
		return r ?: -errno;
	for (unsigned i = 0; i < ARRAY_SIZE(table->copies); i++)
		spread_init(&table->copies[i].spread, key, change->by, change->slots);
	__atomic_store_n(&table->layout, HS_TABLE_LAYOUT, __ATOMIC_RELEASE);
	munmap(table, sizeof(*table));
	return pin_object(fd, pin_of(plane, "table").text);
}

/* Where selectors find it. Who made it may not have come as far as that. */
static int offer_table(struct plane *plane)
{
	_cleanup_(close_fdp) int fd = -1;
	uint32_t zero = 0, id;
	int r;

	if (!bpf_map_lookup_elem(plane->tables_fd, &zero, &id))
		return 0;
	r = pin_open(pin_of(plane, "table").text, &fd);
	if (!r && bpf_map_update_elem(plane->tables_fd, &zero, &fd, BPF_ANY))
		r = -errno;
	return r;
}

static int get_table(struct plane *plane, const struct table_change *change,
		     struct problem *problem)
{
	int r = plane_table_prepare(plane);

	if (r < 0)
		return problem_set(problem, r, "the maps of its table cannot be made: %s",
				   strerror(-r));
	r = plane_table_check(plane, problem);
	if (r < 0)
		return r;
	if (!plane->table && !change->take_policy)
		return problem_set(problem, -ENOENT,
				   "the service has no table; it gets one by "
				   "hsctl policy SERVICE hash");
	if (!plane->table)
		r = make_table(plane, change);
	map_table(plane);
	if (!r)
		r = plane->table ? offer_table(plane) : -ENOENT;
	return r ? problem_set(problem, r, "its table cannot be made: %s", strerror(-r)) : 0;
}

/* ---- changes ---- */

static bool is_same(const struct hs_table_copy *a, const struct hs_table_copy *b)
{
	struct hs_spread left = a->spread, right = b->spread;

	left.made_ns = right.made_ns = 0;
	left.pinned_live = right.pinned_live = 0;
	left.epoch = right.epoch = 0;
	return !memcmp(&left, &right, sizeof(left)) &&
	       !memcmp(a->buckets, b->buckets, sizeof(a->buckets));
}

/* What is to come of `held`. */
static int plan(const struct hs_table_copy *held, const struct table_change *change,
		struct hs_table_copy *next, struct problem *problem)
{
	uint32_t in_service = change->in_service;
	int r = 0;

	next->spread = held->spread;
	if (change->edit)
		r = change->edit(&next->spread, change->userdata, problem);
	if (r < 0)
		return r;
	if (!in_service)
		in_service = next->spread.members ?: (1U << next->spread.slots) - 1;
	next->spread.members = spread_members(&next->spread, in_service);
	if (spread_fills_alike(&next->spread, &held->spread))
		memcpy(next->buckets, held->buckets, sizeof(next->buckets));
	else
		spread_fill(&next->spread, next->spread.members, next->buckets);
	return 0;
}

int plane_table_plan(const struct plane *plane, const struct table_change *change,
		     struct hs_table_copy *ret_next, struct problem *problem)
{
	_cleanup_(freep) struct hs_table_copy *held = malloc(sizeof(*held));

	if (!held)
		return problem_set(problem, -ENOMEM, "there is no memory for its table");
	if (!plane_table_read(plane, held))
		return problem_set(problem, -ENOENT, "the service has no table");
	return plan(held, change, ret_next, problem);
}

static int change_locked(struct plane *plane, const struct table_change *change,
			 struct hs_table_copy *next, struct table_outcome *ret_outcome,
			 struct problem *problem)
{
	const struct hs_table_copy *held;
	bool takes = change->take_policy && !is_hash(plane_word(plane));
	int r = get_table(plane, change, problem);

	if (r < 0)
		return r;
	held = &plane->table->copies[copy_of(plane_word(plane))];
	r = plan(held, change, next, problem);
	if (r < 0)
		return r;
	*ret_outcome = (struct table_outcome) {0};
	if (!takes && is_same(held, next))
		return 0;
	if (!takes && next->spread.key == held->spread.key && next->spread.by == held->spread.by)
		ret_outcome->moved = spread_moved(held->buckets, next->buckets);
	ret_outcome->changed = true;
	r = plane_table_publish(plane, next, takes);
	return r ? problem_set(problem, r, "its table cannot be written: %s", strerror(-r)) : 0;
}

int plane_table_change(struct plane *plane, const struct table_change *change,
		       struct table_outcome *ret_outcome, struct problem *problem)
{
	_cleanup_(freep) struct hs_table_copy *next = calloc(1, sizeof(*next));
	_cleanup_(close_fdp) int lock = -1;
	int r;

	if (!next)
		return problem_set(problem, -ENOMEM, "there is no memory for its table");
	r = pins_lock(pin_of(plane, HS_PIN_PREVIEW).text, true, &lock);
	if (r == -EBUSY)
		return problem_set(problem, r,
				   "another process changes who gets what, or was stopped while it "
				   "did, see fuser -v %s; try again",
				   pin_of(plane, HS_PIN_PREVIEW).text);
	if (r < 0)
		return problem_set(problem, r, "its table cannot be locked: %s", strerror(-r));
	return change_locked(plane, change, next, ret_outcome, problem);
}
